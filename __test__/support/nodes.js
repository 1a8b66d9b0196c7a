'use strict'

// The one way in which tests start nodes. `createEither` and `listening` are for programs that run a
// node of either generation; the others give a node in this process that is stopped after the test.

const { freePort } = require('./ports')
const { event, poll } = require('./wait')

/** A node with options that came as JSON, `id` among them; `smoke` is this package or 0.2.2. */
function createEither(smoke, options, logger) {
  const { secretHex, ...rest } = options
  const given = { ...rest, logger }
  if (secretHex !== undefined) given.secret = Buffer.from(secretHex, 'hex')
  if (given.maxPeerNo === 'Infinity') given.maxPeerNo = Infinity
  const node = smoke.createNode(given)
  if (options.id) node.id = options.id
  return node
}

/** Starts a node; resolves when it listens. A node of 0.2.2 tells nobody, so it is polled. */
async function listening(node) {
  node.start()
  await poll(() => node.listening, 10_000, 'the node listens', 2)
  return { id: node.id, port: node.options.port }
}

/** A node on loopback that is not started yet. */
function createOwn(t, options = {}) {
  const node = createEither(require('../..'), { address: '127.0.0.1', ...options }, options.logger)
  t.after(() => node.stop())
  return node
}

/** A listening node on a free port. */
async function startNode(t, options = {}) {
  const node = createOwn(t, options)
  await node.start()
  return node
}

/** The same, which seeks one peer and keeps what happens to it in `node.seen`. */
async function startOwn(t, options = {}) {
  const node = createOwn(t, { port: await freePort(), minPeerNo: 1, ...options })
  node.seen = { events: [], chunks: [] }
  for (const name of ['connect', 'disconnect', 'netsplit', 'netsplit resolved']) {
    node.on(name, () => node.seen.events.push(name))
  }
  node.peers.on('add', (peer) => node.seen.events.push(`add ${peer.id}`))
  node.peers.on('remove', (peer) => node.seen.events.push(`remove ${peer.id}`))
  node.broadcast.on('chat', (...args) => node.seen.events.push(['chat', ...args]))
  node.broadcast.on('data', (chunk) => node.seen.chunks.push(chunk.toString('utf8')))
  await node.start()
  return node
}

/** The `chat` events that a node of `startOwn` heard. */
const heard = (node) => node.seen.events.filter(Array.isArray)

/** Two nodes that are peers of each other: {a, b, toB (a's peer), toA (b's peer)}. */
async function startPair(t, options = {}) {
  const a = await startNode(t, options)
  const b = await startNode(t, options)
  const added = event(b.peers, 'add')
  const toB = await a.addPeer('127.0.0.1', b.options.port)
  const [toA] = await added
  return { a, b, toB, toA }
}

/** Nodes of which each entered through the first one, all connected. */
async function startNetwork(t, count, options = {}) {
  const first = await startNode(t, options)
  const seeds = [{ address: '127.0.0.1', port: first.options.port }]
  const nodes = [first]
  while (nodes.length < count) {
    const node = await startNode(t, { ...options, seeds })
    nodes.push(node)
    await poll(() => node.connected && first.connected, 10_000, 'a node enters')
  }
  return nodes
}

/** Collects the arguments with which `name` is emitted until there are `count` of them. */
function collect(emitter, name, count, ms = 10_000) {
  const heard = []
  let listener
  const all = new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${heard.length} of ${count} "${name}" within ${ms} ms`)),
      ms,
    )
    listener = (...args) => {
      heard.push(args)
      if (heard.length < count) return
      clearTimeout(timer)
      emitter.removeListener(name, listener)
      resolve(heard)
    }
    emitter.on(name, listener)
  })
  return all
}

module.exports = {
  collect,
  createEither,
  createOwn,
  heard,
  listening,
  startNetwork,
  startNode,
  startOwn,
  startPair,
}
