'use strict'

const net = require('node:net')

// Below the range the kernel takes for outgoing connections (32768 and up), so that a port that is
// free now is not somebody's client port a moment later. Random, so that test files that run at the
// same time do not meet.
const FIRST = 10000
const COUNT = 20000

const given = new Set()

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen(port, () => server.close(() => resolve(true)))
  })
}

/** A port nobody listens on, never the same twice in one process. */
async function freePort() {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (given.has(port)) continue
    if (!(await isFree(port))) continue
    given.add(port)
    return port
  }
}

/** Several of them. */
async function freePorts(count) {
  const ports = []
  while (ports.length < count) ports.push(await freePort())
  return ports
}

module.exports = { freePort, freePorts }
