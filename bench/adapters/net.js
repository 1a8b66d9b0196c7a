'use strict'

const net = require('node:net')
const { lineReader } = require('../lines')

exports.title = 'net sockets (floor)'

/** The least one can do from JavaScript: JSON lines, one write per tick and socket. */
exports.publisher = async ({ port, receivers }) => {
  const sockets = new Set()
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => sockets.delete(socket))
  })
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  let lines = ''
  let isScheduled = false
  const blocked = new Set()
  const flush = () => {
    isScheduled = false
    const bytes = Buffer.from(lines)
    lines = ''
    for (const socket of sockets) {
      if (socket.write(bytes) || blocked.has(socket)) continue
      blocked.add(socket)
      socket.once('drain', () => blocked.delete(socket))
    }
  }
  return {
    isReady: () => sockets.size >= receivers,
    send(message) {
      lines += `${JSON.stringify(message)}\n`
      if (!isScheduled) {
        isScheduled = true
        process.nextTick(flush)
      }
      return blocked.size === 0
    },
    async room() {
      for (const socket of blocked) await new Promise((resolve) => socket.once('drain', resolve))
    },
  }
}

exports.receiver = async ({ port, hear }) => {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('data', lineReader(hear))
  await new Promise((resolve) => socket.once('connect', resolve))
}
