'use strict'

// A node in its own process. IPC commands set how it sends and how slowly it receives. Messages are
// numbered per sender, so that the receiver knows what is missing.

const { Writable } = require('node:stream')
const { setImmediate: turn } = require('node:timers/promises')
const { createNode } = require('../..')
const { serve } = require('../support/commands')

let node
let slowness = { kind: 'none' }
/** The messages heard, by the number of their sender. */
const heard = new Map()
const told = { lost: 0, skipped: 0, slow: [], oversized: 0, streamErrors: [] }

function tell(message) {
  if (process.connected) process.send(message)
}

process.on('disconnect', () => process.exit())
process.on('uncaughtException', (error) => {
  tell({ t: 'uncaught', error: error.stack })
  setImmediate(() => process.exit(70))
})

function hear(sender, number, bytes) {
  const state = heard.get(sender) ?? { count: 0, last: -1, wrong: 0, bytes: 0 }
  heard.set(sender, state)
  if (number !== state.last + 1) state.wrong++
  state.last = number
  state.count++
  state.bytes += bytes
  if (slowness.kind === 'handler') busy(slowness.ms)
}

/** Blocks the thread for `ms` without using a processor: cells run on small machines. */
function busy(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** A chunk's first bytes hold its sender and its number. */
function hearChunk(chunk) {
  hear(chunk.readUInt32BE(0), chunk.readUInt32BE(4), chunk.length)
}

function listen(channel) {
  channel.on('n', (sender, number, pad) => hear(sender, number, pad.length))
  const { kind, ms } = slowness
  if (kind === 'writable') {
    const write = (chunk, _encoding, done) => {
      hearChunk(chunk)
      setTimeout(done, ms)
    }
    // As in an application: it may have other errors; the stream reports its losses.
    channel.stream.on('error', (error) => told.streamErrors.push(error.message))
    return channel.pipe(new Writable({ write, highWaterMark: 1 }))
  }
  channel.stream.on('error', (error) => told.streamErrors.push(error.message))
  channel.on('data', (chunk) => {
    hearChunk(chunk)
    if (kind !== 'paused') return
    channel.pause()
    setTimeout(() => channel.resume(), ms)
  })
}

/** Makes message `number` for `send` in a given mode. */
function message(mode, sender, number, size) {
  if (mode === 'write') {
    const chunk = Buffer.alloc(Math.max(8, size))
    chunk.writeUInt32BE(sender, 0)
    chunk.writeUInt32BE(number, 4)
    return chunk
  }
  return mode === 'buffer' ? Buffer.alloc(size) : 'x'.repeat(size)
}

function send(channel, mode, sender, number, body) {
  return mode === 'write' ? channel.write(body) : channel.emit('n', sender, number, body)
}

const commands = {
  async start({ options, slow = { kind: 'none' }, limits }) {
    slowness = slow
    node = createNode({ ...options, limits })
    node.on('lost', ({ count }) => {
      told.lost += count
    })
    node.on('skipped', ({ count }) => {
      told.skipped += count
    })
    node.on('slow receiver', ({ id }) => told.slow.push(id))
    node.on('oversized', () => told.oversized++)
    listen(node.broadcast)
    node.peers.on('add', (peer) => {
      listen(peer)
      tell({ t: 'add', id: peer.id, peers: node.peers.dump() })
    })
    node.peers.on('remove', (peer) => tell({ t: 'remove', id: peer.id, peers: node.peers.dump() }))
    await node.start()
    if (slow.kind === 'blocked') setInterval(() => busy(slow.ms), slow.ms * 2)
    return { id: node.id, port: node.options.port }
  },

  /** Sends `count` messages to all nodes, or to each peer, and obeys backpressure. */
  async produce({ mode, size, count, sender }) {
    const channels = mode === 'direct' ? [...node.peers.list] : [node.broadcast]
    const body = message(mode, sender, 0, size)
    let waits = 0
    const began = performance.now()
    const produceOn = async (channel) => {
      for (let number = 0; number < count; number++) {
        const next = mode === 'write' ? message(mode, sender, number, size) : body
        if (send(channel, mode, sender, number, next)) continue
        waits++
        await new Promise((resolve) => channel.once('drain', resolve))
      }
    }
    await Promise.all(channels.map(produceOn))
    await turn()
    return { waits, ms: performance.now() - began }
  },

  addPeer: ({ address, port }) => node.addPeer(address, port).then(() => null),
  heard: () => Object.fromEntries(heard),
  told: () => told,
  stats: () => node.stats(),
  rss: () => process.memoryUsage.rss(),
  stop: () => node.stop().then(() => null),
}

serve(commands, tell)
