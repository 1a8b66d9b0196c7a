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
  const write = (socket, bytes) => {
    if (socket.write(bytes) || blocked.has(socket)) return
    blocked.add(socket)
    socket.once('drain', () => blocked.delete(socket))
  }
  const flush = () => {
    isScheduled = false
    const bytes = Buffer.from(lines)
    lines = ''
    for (const socket of sockets) write(socket, bytes)
  }
  const send = (message) => {
    lines += `${JSON.stringify(message)}\n`
    if (!isScheduled) {
      isScheduled = true
      process.nextTick(flush)
    }
    return blocked.size === 0
  }
  const writeAll = (bytes) => {
    for (const socket of sockets) write(socket, bytes)
    return blocked.size === 0
  }
  const targets = {
    stream: { write: writeAll },
    frames: {
      emit(_, bytes) {
        const header = Buffer.allocUnsafe(4)
        header.writeUInt32BE(bytes.length)
        for (const socket of sockets) socket.cork()
        writeAll(header)
        const hasRoom = writeAll(bytes)
        for (const socket of sockets) socket.uncork()
        return hasRoom
      },
    },
  }
  return {
    isReady: () => sockets.size >= receivers,
    send,
    target: ({ raw }) => (raw ? targets[raw] : { emit: (...message) => send(message) }),
    async room() {
      for (const socket of blocked) await new Promise((resolve) => socket.once('drain', resolve))
    },
  }
}

exports.receiver = async ({ port, hear, shape }) => {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  const readers = { stream: streamReader, frames: frameReader }
  socket.on('data', (readers[shape?.raw] ?? lineReader)(hear, shape?.bytes))
  await new Promise((resolve) => socket.once('connect', resolve))
}

/** Calls `hear` for every `size` bytes. */
function streamReader(hear, size) {
  let unheard = 0
  return (chunk) => {
    for (unheard += chunk.length; unheard >= size; unheard -= size) hear(chunk)
  }
}

/** Calls `hear` with each message behind its length. */
function frameReader(hear) {
  let chunks = []
  let size = 0
  return (chunk) => {
    chunks.push(chunk)
    size += chunk.length
    while (size >= 4) {
      if (chunks[0].length < 4) chunks = [Buffer.concat(chunks)]
      const length = chunks[0].readUInt32BE()
      if (size < 4 + length) return
      const all = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
      hear(all.subarray(4, 4 + length))
      chunks = [all.subarray(4 + length)]
      size -= 4 + length
    }
  }
}
