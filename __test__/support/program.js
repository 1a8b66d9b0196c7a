'use strict'

// One node in a process of its own, told over IPC what to do and telling what happens to it.
// Kinds: `ours`, and `legacy`, which is smokesignal@0.2.2 with its array data made visible (0.1
// traffic: 0.2.2 carries it, and its internals can send it, but its public API shows bytes only).

const kind = process.argv[2]
const { serve } = require('./commands')
const { createEither, listening } = require('./nodes')
const smoke = kind === 'legacy' ? require('smokesignal-legacy') : require('../..')

let node
const ready = { ours: prepareOurs, legacy: prepareLegacy }[kind]

function tell(message) {
  if (process.connected) process.send(message)
}

function describe(value) {
  if (value instanceof Error) return `${value.code ?? value.name}: ${value.message}`
  return typeof value === 'string' ? value : JSON.stringify(value)
}

process.on('uncaughtException', (error) => {
  tell({ t: 'uncaught', error: error.stack })
  process.exitCode = 70
  process.disconnect?.()
  setImmediate(() => process.exit(70))
})
// Whoever started this process is gone: so are we.
process.on('disconnect', () => process.exit(process.exitCode ?? 0))

function logger() {
  const log =
    (level) =>
    (...args) =>
      tell({ t: 'log', level, text: args.map(describe).join(' ') })
  const levels = ['info', 'warn', 'error', 'fatal']
  return Object.fromEntries(levels.map((level) => [level, log(level)]))
}

function prepareOurs() {
  for (const event of ['join', 'leave', 'update']) {
    node.members.on(event, () => tell({ t: event, members: [...node.members.keys()] }))
  }
  node.handle('echo', ({ from }, ...args) => ({ from, args }))
  node.broadcast.on('chat', (...args) => tell({ t: 'event', event: ['chat', ...args] }))
  node.peers.on('add', (peer) => {
    peer.on('chat', (...args) => tell({ t: 'direct', from: peer.id, event: ['chat', ...args] }))
  })
}

function prepareLegacy() {
  const { broadcast } = node
  const handlers = broadcast.listeners
  broadcast.listeners = Object.assign(Object.create(handlers), {
    broadcast(packet, peer) {
      if (!Array.isArray(packet.data)) return handlers.broadcast.call(this, packet, peer)
      tell({ t: 'event', event: packet.data })
      this.sendPacket(['smoke', 'broadcast'], packet, peer)
    },
  })
  node.peers.on('add', (peer) => {
    peer.socket.data(['smoke', 'event'], (event) => {
      tell({ t: 'direct', from: peer.id, event })
    })
  })
}

/** A stream of chunks as lines: several chunks in one read and half a chunk are both possible. */
function readLines() {
  let rest = ''
  node.broadcast.on('data', (chunk) => {
    const lines = (rest + chunk.toString('utf8')).split('\n')
    rest = lines.pop()
    for (const line of lines) tell({ t: 'chunk', line })
  })
}

// An old one knows a number as it is.
const peers = () => node.peers.list.map((peer) => String(peer.id))

const commands = {
  start({ options }) {
    node = createEither(smoke, options, logger())
    ready()
    readLines()
    node.peers.on('add', (peer) => tell({ t: 'add', id: String(peer.id), peers: peers() }))
    node.peers.on('remove', (peer) => tell({ t: 'remove', id: peer.id, peers: peers() }))
    const told = ['connect', 'disconnect', 'netsplit', 'netsplit resolved']
    for (const name of [...told, 'outside', 'island', 'conflict', 'refused']) {
      node.on(name, (what) => tell({ t: name, what }))
    }
    node.on('error', (error) => tell({ t: 'error', error: describe(error) }))
    return listening(node)
  },
  stop: () => Promise.resolve(node.stop()).then(() => null),
  addPeer: ({ address, port }) => void node.addPeer(address, port),
  write: ({ lines }) => {
    for (const line of lines) node.broadcast.write(`${line}\n`)
  },
  emit: ({ events }) => {
    for (const event of events) {
      if (kind === 'legacy') node.broadcast.send(['smoke', 'broadcast'], event)
      else node.broadcast.emit(...event)
    }
  },
  /** Asks another node; `code` is that of the error. */
  ask: ({ to, name, args = [] }) => {
    return node
      .to(to)
      .emitWithAck(name, ...args)
      .catch(({ code }) => ({ code }))
  },
  askAll: async ({ name, args = [] }) => {
    const { replies, missing } = await node.broadcast.emitWithAck(name, ...args)
    return { replies: [...replies], missing }
  },
  member: ({ id }) => node.members.get(id) ?? null,
  direct: ({ to, event }) => {
    const peer = node.peers.inList(to)
    if (kind === 'legacy') peer.socket.send(['smoke', 'event'], [event])
    else peer.emit(...event)
  },
  block: ({ ms }) => {
    tell({ t: 'blocking' })
    // Not a busy loop: the point is a JavaScript thread that does nothing, not a busy machine.
    setImmediate(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
      tell({ t: 'unblocked' })
    })
  },
  peers,
  stats: () => node.stats?.() ?? null,
  rss: () => process.memoryUsage.rss(),
}

serve(commands, tell)
