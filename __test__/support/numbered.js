'use strict'

// A node in a process of its own that sends numbered messages and checks the numbers it gets, told
// over IPC what to do. Kinds: `ours`, and `legacy`, which is smokesignal@0.2.2. Only totals cross
// the IPC channel, so that hundreds of thousands of messages do not drown the test.

const kind = process.argv[2]
const { serve } = require('./commands')
const { createEither, listening } = require('./nodes')
const smoke = kind === 'legacy' ? require('smokesignal-legacy') : require('../..')

/** Messages per turn of the event loop; small, so that many runs travel. */
const PER_TURN = 40

let node
/** By sender: what was heard of it. */
const tally = new Map()
const told = { skipped: 0, lost: 0, added: 0, removed: 0, drains: 0, refusals: 0 }
const sending = { next: 1, until: 0, rate: 0, since: 0, ignoresPressure: false }

function tell(message) {
  if (process.connected) process.send(message)
}

process.on('uncaughtException', (error) => {
  tell({ t: 'uncaught', error: error.stack })
  process.exitCode = 70
  process.disconnect?.()
  setImmediate(() => process.exit(70))
})
process.on('disconnect', () => process.exit(process.exitCode ?? 0))

/**
 * `first` and `last` number heard, how many in all, and how many of them were not the successor
 * of the one before: heard before (`doubles`), after a hole (`holes`), or before it (`late`).
 */
function heard(sender, number) {
  let entry = tally.get(sender)
  if (entry === undefined) {
    entry = { first: number, last: number - 1, count: 0, doubles: 0, holes: 0, late: 0, seen: [] }
    entry.seen = new Set()
    entry.example = null
    tally.set(sender, entry)
  }
  entry.count++
  if (number === entry.last + 1) entry.last = number
  else if (number > entry.last) {
    for (let missing = entry.last + 1; missing < number && entry.seen.size < 1e6; missing++) {
      entry.seen.add(missing)
    }
    entry.example ??= [entry.last, number]
    entry.last = number
    entry.holes++
  } else if (entry.seen.delete(number)) {
    entry.late++
  } else if (number < entry.first) {
    // Floods keep no order: the first heard need not be the first sent.
    for (let missing = number + 1; missing < entry.first; missing++) entry.seen.add(missing)
    entry.first = number
    entry.late++
  } else {
    entry.doubles++
    entry.example ??= [entry.last, number]
  }
}

/** Stream chunks hold whole lines here; 0.2.2 hears nothing else. */
function readLines() {
  let rest = ''
  node.broadcast.on('data', (chunk) => {
    const lines = (rest + chunk.toString('utf8')).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      const [sender, number] = line.split(' ')
      heard(sender, Number(number))
    }
  })
}

function sendOne(number, { name, asLines, padding }) {
  if (asLines) return node.broadcast.write(`${name} ${number}\n`)
  return node.broadcast.emit('n', name, number, padding)
}

function turn() {
  let quota = PER_TURN
  if (sending.rate > 0) {
    const due = Math.floor(((Date.now() - sending.since) * sending.rate) / 1000)
    quota = Math.min(sending.from + due - sending.next, 4 * PER_TURN)
  }
  let hasRoom = true
  for (let n = 0; n < quota && sending.next <= sending.until; n++) {
    hasRoom = sendOne(sending.next++, sending) !== false
    if (!hasRoom && kind === 'ours') break
  }
  if (sending.next > sending.until) return tell({ t: 'sent', count: sending.next - 1 })
  if (!hasRoom && kind === 'ours') {
    node.broadcast.once('drain', () => {
      told.drains++
      turn()
    })
  } else if (sending.rate > 0) setTimeout(turn, 2)
  else setImmediate(turn)
}

const peers = () => node.peers.list.map((peer) => peer.id)

const commands = {
  start({ options, quiet }) {
    node = createEither(smoke, options, {})
    if (!quiet) {
      readLines()
      if (kind === 'ours') {
        node.broadcast.on('n', (sender, number) => {
          // Anybody may say anything under this name.
          if (typeof sender === 'string' && Number.isInteger(number)) heard(sender, number)
        })
      }
    }
    node.peers.on('add', (peer) => {
      told.added++
      tell({ t: 'add', id: peer.id, peers: peers() })
    })
    node.peers.on('remove', (peer) => {
      told.removed++
      tell({ t: 'remove', id: peer.id, peers: peers() })
    })
    for (const event of ['join', 'leave']) {
      node.members?.on(event, () => tell({ t: event, members: [...node.members.keys()] }))
    }
    node.on('skipped', ({ count }) => {
      told.skipped += count
      tell({ t: 'skipped', count })
    })
    node.on('lost', ({ count }) => {
      told.lost += count
      tell({ t: 'lost', count })
    })
    for (const name of ['netsplit', 'netsplit resolved']) {
      node.on(name, (seed) => tell({ t: name, seed }))
    }
    node.on('error', (error) => tell({ t: 'error', error: String(error) }))
    return listening(node)
  },
  stop: () => Promise.resolve(node.stop()).then(() => null),
  addPeer: ({ address, port }) => void node.addPeer(address, port),
  /** Closes the link to that peer, if there is one. */
  cut: ({ id }) => {
    const peer = node.peers.inList(id)
    if (peer) peer.close()
    return Boolean(peer)
  },
  /** Sends `count` more messages; `sent` is told when the last is out. */
  send: ({ count, rate = 0, size = 0, asLines = kind === 'legacy', name = node.id }) => {
    const padding = 'x'.repeat(size)
    Object.assign(sending, { asLines, name, rate, padding, since: Date.now(), from: sending.next })
    sending.until = sending.next - 1 + count
    setImmediate(turn)
  },
  /** Says to one peer as much as it may be told at once. */
  fill: ({ id }) => {
    const peer = node.peers.inList(id)
    const padding = 'x'.repeat(64 * 1024)
    while (peer && !peer.closed && peer.emit('fill', padding));
  },
  /** What is being sent ends with that number; resolves to the next. */
  sendUntil: ({ last }) => {
    sending.until = last
    return sending.next
  },
  next: () => sending.next,
  /** Sends a single message, under a name of its own. */
  sayOnce: ({ name, asLines = kind === 'legacy' }) => void sendOne(1, { name, asLines }),
  /** Sends without a look at what `emit` returns until it throws; resolves to how that went. */
  sendRecklessly: ({ size, most }) => {
    const padding = 'x'.repeat(size)
    let [sent, refused] = [0, null]
    let falses = 0
    const before = process.memoryUsage.rss()
    while (sent < most && !refused) {
      try {
        if (!node.broadcast.emit('n', node.id, sending.next, padding)) falses++
        sending.next++
        sent++
      } catch (error) {
        refused = error.code
      }
    }
    const drained = new Promise((resolve) => node.broadcast.once('drain', () => resolve(true)))
    drained.then(() => tell({ t: 'drained' }))
    return { sent, falses, refused, grown: process.memoryUsage.rss() - before }
  },
  block: ({ ms }) => {
    tell({ t: 'blocking' })
    setImmediate(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
      tell({ t: 'unblocked' })
    })
  },
  tally: () =>
    Object.fromEntries(
      [...tally].map(([sender, { seen, ...entry }]) => [sender, { ...entry, missing: seen.size }]),
    ),
  /** What anything put on every object of this process. */
  polluted: () => ({}).polluted ?? null,
  forget: () => tally.clear(),
  told: () => told,
  peers,
  stats: () => node.stats?.() ?? null,
  rss: () => process.memoryUsage.rss(),
}

serve(commands, tell)
