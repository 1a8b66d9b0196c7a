'use strict'

// Entry: its failures are explained, and nodes are identified.

const assert = require('node:assert/strict')
const net = require('node:net')
const { test } = require('node:test')
const { createNode } = require('../..')
const { event, poll } = require('../support/wait')
const { startNode } = require('../support/nodes')

const address = '127.0.0.1'
const seedOf = (node) => ({ address, port: node.options.port })

/** A server that sends the same answer to every connection; returns its port. */
async function serve(t, answer) {
  const sockets = new Set()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    answer(socket)
  })
  server.listen(0, address)
  await event(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { address, port: server.address().port }
}

/** A node that logs warnings to `node.warnings`. */
async function startLogging(t, options) {
  const warnings = []
  const node = await startNode(t, { ...options, logger: { warn: (text) => warnings.push(text) } })
  node.warnings = warnings
  return node
}

/** Resolves when `node` is told of these reasons, by seed. */
async function toldOf(node, seeds) {
  const expected = Object.entries(seeds).map(([reason, seed]) => ({ ...seed, reason }))
  let told
  node.on('outside', (outcomes) => {
    told = outcomes
  })
  const isTold = () => JSON.stringify(told) === JSON.stringify(expected)
  await poll(isTold, 15_000, `told ${JSON.stringify(expected)}`).catch((error) => {
    assert.deepEqual(told, expected, error.message)
  })
  assert.equal(node.connected, false)
}

test('a node without peers reports the reason for each seed, in an event and in the log', async (t) => {
  const closed = await startNode(t, { secret: 'words of its own' })
  const named = await startNode(t, { network: 'another' })
  const twin = await startNode(t, { id: 'twin' })
  const web = await serve(t, (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const seeds = {
    refused: { address, port: 1 },
    'unknown name': { address: 'no-such-host.invalid', port: 8495 },
    closed: seedOf(closed),
    network: seedOf(named),
    id: seedOf(twin),
    'not smokesignal': web,
  }
  const node = await startLogging(t, { id: 'twin', seeds: Object.values(seeds) })
  await toldOf(node, seeds)
  assert.ok(node.warnings.some((text) => text.includes(`${address}:1 refused`)))
})

test('a node of a closed network reports the reason for each seed', async (t) => {
  const other = await startNode(t, { secret: 'words of its own' })
  const seeds = {
    secret: seedOf(other),
    'not allowed': { address: '127.0.0.2', port: 8495 },
  }
  const options = { secret: 'other words', allow: [address], seeds: Object.values(seeds) }
  const node = await startLogging(t, options)
  await toldOf(node, seeds)
  assert.ok(node.warnings.some((text) => text.includes(`${address}:${other.options.port} secret`)))
})

test('a node learns that its seed has another secret', async (t) => {
  const seed = await startNode(t, { secret: 'words of its own' })
  const node = await startNode(t, { secret: 'other words', seeds: [seedOf(seed)] })
  const told = await event(node, 'outside', 10_000)
  assert.deepEqual(told, [[{ ...seedOf(seed), reason: 'secret' }]])
})

test('a node that enters through a seed full of leaves takes the place of one', async (t) => {
  const seed = await startNode(t, { maxPeerNo: 3 })
  const leaves = []
  for (let count = 0; count < 3; count++) {
    const leaf = await startNode(t, { maxPeerNo: 1, seeds: [seedOf(seed)] })
    await poll(() => leaf.connected, 5000, 'a leaf is in')
    leaves.push(leaf)
  }
  const node = await startNode(t, { seeds: [seedOf(seed)] })
  const isIn = () => node.peers.inList(seed.id) && leaves.every((leaf) => leaf.connected)
  await poll(isIn, 20_000, 'all are in')
})

test('a node learns that its seed is full, and the seed keeps its peers', async (t) => {
  const seed = await startNode(t, { maxPeerNo: 1 })
  const first = await startNode(t, { maxPeerNo: 1, seeds: [seedOf(seed)] })
  await poll(() => first.connected, 5000, 'the first is in')
  let removals = 0
  first.peers.on('remove', () => removals++)
  const second = await startNode(t, { maxPeerNo: 1, seeds: [seedOf(seed)] })
  const full = { ...seedOf(seed), reason: 'full' }
  const told = await event(second, 'outside', 10_000)
  assert.deepEqual(told, [[full]])
  assert.equal(removals, 0)
})

test('nodes of another network, or without one, are refused and receive nothing', async (t) => {
  const seed = await startNode(t, { network: 'shop' })
  const refused = []
  seed.on('refused', ({ reason }) => refused.push(reason))
  const member = await startNode(t, { network: 'shop', seeds: [seedOf(seed)] })
  await poll(() => member.connected, 5000, 'a node of the same name is in')
  for (const network of ['stock', undefined]) {
    const stranger = await startNode(t, { network })
    await assert.rejects(stranger.addPeer(address, seed.options.port), {
      code: 'ERR_SMOKE_NETWORK',
    })
    await assert.rejects(seed.addPeer(address, stranger.options.port), {
      code: 'ERR_SMOKE_NETWORK',
    })
    assert.deepEqual(stranger.peers.list, [])
  }
  assert.deepEqual(seed.peers.dump(), [member.id])
  await poll(() => refused.length >= 2, 5000, 'refusals are told')
  assert.deepEqual(new Set(refused), new Set(['network']))
})

test('two nodes with the same id both learn of the conflict', async (t) => {
  const [one, other] = [0, 1].map(() => createNode({ address }))
  for (const node of [one, other]) {
    node.id = 'twin'
    t.after(() => node.stop())
    await node.start()
  }
  const told = [one, other].map((node) => event(node, 'conflict'))
  await assert.rejects(other.addPeer(address, one.options.port), { code: 'ERR_SMOKE_ID' })
  const conflicts = await Promise.all(told)
  assert.deepEqual(conflicts, [
    [{ what: 'id', id: 'twin', ...seedOf(other) }],
    [{ what: 'id', id: 'twin', ...seedOf(one) }],
  ])
})

test('nodes with the same id that enter through a third node learn of the conflict', async (t) => {
  const seed = await startNode(t)
  const twins = [0, 1].map(() => createNode({ address, seeds: [seedOf(seed)] }))
  const told = twins.map((node) => event(node, 'conflict', 20_000))
  for (const node of twins) {
    node.id = 'twin'
    t.after(() => node.stop())
    await node.start()
  }
  for (const [conflict] of await Promise.all(told)) assert.equal(conflict.what, 'id')
})

test('a node joins a seed that starts later with a network of its own', async (t) => {
  const left = await startNode(t)
  const late = createNode({ address })
  t.after(() => late.stop())
  await late.start()
  const port = late.options.port
  await late.stop()
  const nodes = [left]
  for (let count = 0; count < 4; count++) {
    const seeds = [seedOf(left), { address, port }]
    const node = await startNode(t, { seeds })
    nodes.push(node)
    await poll(() => node.connected, 5000, 'in through the seed that is up')
  }
  const right = createNode({ address, port })
  t.after(() => right.stop())
  await right.start()
  const other = await startNode(t, { seeds: [seedOf(right)] })
  const heard = new Set()
  other.broadcast.on('who', (who) => heard.add(who))
  const isWhole = () => {
    for (const [index, node] of nodes.entries()) node.broadcast.emit('who', index)
    return heard.size === nodes.length
  }
  await poll(isWhole, 60_000, 'one network', 200)
})
