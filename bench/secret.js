'use strict'

// npm run bench:secret: what a network secret costs. Two nodes in this process, with and without, in
// turns; prints messages per second (medians) and the ratio.

const { once } = require('node:events')
const { randomBytes } = require('node:crypto')
const { createNode } = require('..')

const COUNT = 60_000
const ROUNDS = 5
const text = 'x'.repeat(80)

async function rate(options) {
  const nodes = [0, 1].map(() => createNode({ address: '127.0.0.1', ...options }))
  await Promise.all(nodes.map((node) => node.start()))
  const [a, b] = nodes
  const connected = once(a, 'connect')
  await b.addPeer('127.0.0.1', a.options.port)
  await connected
  let heard = 0
  const all = new Promise((resolve) => {
    b.broadcast.on('n', () => ++heard === COUNT && resolve())
  })
  const began = process.hrtime.bigint()
  for (let sent = 0; sent < COUNT; ) {
    let free = true
    for (let n = 0; n < 200 && free; n++, sent++) free = a.broadcast.emit('n', sent, text)
    if (free) await new Promise(setImmediate)
    else await new Promise((resolve) => a.broadcast.once('drain', resolve))
  }
  await all
  const seconds = Number(process.hrtime.bigint() - began) / 1e9
  await Promise.all(nodes.map((node) => node.stop()))
  return COUNT / seconds
}

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

async function main() {
  const open = []
  const closed = []
  for (let round = 0; round < ROUNDS; round++) {
    open.push(await rate({}))
    closed.push(await rate({ secret: randomBytes(32) }))
  }
  const [without, withSecret] = [median(open), median(closed)].map(Math.round)
  const ratio = (withSecret / without).toFixed(2)
  console.log(`without: ${without}/s, with a secret: ${withSecret}/s, ratio ${ratio}`)
}

main()
