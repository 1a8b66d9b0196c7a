'use strict'

// Addresses: where nodes listen, and where others reach them.

const assert = require('node:assert/strict')
const net = require('node:net')
const os = require('node:os')
const { test } = require('node:test')
const { createNode } = require('../..')
const { event, poll } = require('../support/wait')
const { startNode } = require('../support/nodes')

const LOOPBACK = '127.0.0.1'
/** Why IPv6 cannot be tested here, or false. */
const noV6 = Object.values(os.networkInterfaces())
  .flat()
  .some(({ address }) => address === '::1')
  ? false
  : 'no IPv6 here'

/** Whether a server listens there. */
function listens(host, port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, host)
    const settle = (outcome) => {
      socket.destroy()
      resolve(outcome)
    }
    socket.on('connect', () => settle(true))
    socket.on('error', () => settle(false))
  })
}

/** A port of this machine that forwards to another one. */
async function forward(t, port) {
  const sockets = new Set()
  const server = net.createServer((near) => {
    const far = net.connect(port, LOOPBACK)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    near.pipe(far).pipe(near)
  })
  server.listen(0, LOOPBACK)
  await event(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return server.address().port
}

async function freePort() {
  const server = net.createServer().listen(0, LOOPBACK)
  await event(server, 'listening')
  const { port } = server.address()
  server.close()
  await event(server, 'close')
  return port
}

const isIn = (node) => poll(() => node.connected, 10_000, 'it is in the network')

test('two nodes without an address talk on one machine, out of reach of others', async (t) => {
  const seed = createNode()
  t.after(() => seed.stop())
  await seed.start()
  const { address, port } = seed.options
  assert.equal(address, LOOPBACK)
  const guest = createNode({ seeds: [`localhost:${port}`] })
  t.after(() => guest.stop())
  await guest.start()
  await Promise.all([isIn(seed), isIn(guest)])
  const elsewhere = Object.values(os.networkInterfaces()).flat()
  const other = elsewhere.find(({ internal, family }) => !internal && family === 'IPv4')
  for (const node of [seed, guest]) {
    assert.equal(await listens(node.options.address, node.options.port), true)
    if (other) assert.equal(await listens(other.address, node.options.port), false)
  }
})

test('a node listens only on listen.host', { skip: noV6 }, async (t) => {
  const four = await startNode(t, { listen: { host: '0.0.0.0' } })
  const six = await startNode(t, { address: '::1', listen: { host: '::' } })
  const one = await startNode(t, { address: '127.0.0.2', listen: { host: '127.0.0.2' } })
  const both = await startNode(t)
  const reached = (node) => {
    return Promise.all(
      [LOOPBACK, '127.0.0.2', '::1'].map((host) => listens(host, node.options.port)),
    )
  }
  assert.deepEqual(await reached(four), [true, true, false])
  assert.deepEqual(await reached(six), [false, false, true])
  assert.deepEqual(await reached(one), [false, true, false])
  assert.deepEqual(await reached(both), [true, true, true])
})

test('others dial a port that is forwarded to where the node listens', async (t) => {
  const own = await freePort()
  const port = await forward(t, own)
  const node = await startNode(t, { port, listen: { host: LOOPBACK, port: own } })
  assert.equal(node.options.port, port)
  const seed = await startNode(t, { maxPeerNo: 10 })
  const joined = event(seed, 'connect')
  node.options.seeds.push({ address: LOOPBACK, port: seed.options.port })
  await node.addPeer(LOOPBACK, seed.options.port)
  await joined
  // A third node learns the address from the seed, and dials the given port.
  const third = await startNode(t, { minPeerNo: 2, seeds: [`${LOOPBACK}:${seed.options.port}`] })
  await poll(() => third.peers.inList(node.id), 10_000, 'the third has a link to it')
})

test('a node that cannot listen names a remedy', async (t) => {
  const taken = await startNode(t)
  const { port } = taken.options
  for (const [options, code, message] of [
    [{ port }, 'EADDRINUSE', /^cannot listen on port \d+: .*another program listens there; choose/],
    [
      { listen: { host: '198.51.100.1' } },
      'EADDRNOTAVAIL',
      /^cannot listen on 198.51.100.1:0: .*this machine has no such address; see the option "listen"/,
    ],
  ]) {
    const node = createNode({ address: LOOPBACK, ...options })
    await assert.rejects(node.start(), { code, message })
  }
})

test("a node's own address among its seeds, in any form, is no error", async (t) => {
  const own = await freePort()
  const seeds = [
    ...[`${LOOPBACK}:${own}`, `localhost:${own}`, `[::ffff:127.0.0.1]:${own}`, `127.0.0.2:${own}`],
    { address: LOOPBACK, port: own },
  ]
  const said = []
  const logger = { warn: (line) => said.push(line), error: (line) => said.push(line) }
  const node = await startNode(t, { port: own, seeds, logger })
  node.on('outside', (outcomes) => said.push(outcomes))
  node.on('conflict', (conflict) => said.push(conflict))
  const guest = await startNode(t, { seeds: [`${LOOPBACK}:${own}`] })
  await isIn(guest)
  await poll(() => node.stats().dials >= 3, 10_000, 'it has tried the others')
  await guest.stop()
  await poll(() => !node.connected, 10_000, 'it is alone again')
  // A lone node warns after two seconds if anything is wrong.
  await new Promise((resolve) => setTimeout(resolve, 4000))
  assert.deepEqual(said, [])
})

test('two nodes that are seeds of each other become peers when they start at once', async (t) => {
  const ports = [await freePort(), await freePort()]
  const nodes = ports.map((port, index) => {
    const node = createNode({ address: LOOPBACK, port, seeds: [`localhost:${ports[1 - index]}`] })
    t.after(() => node.stop())
    return node
  })
  await Promise.all(nodes.map((node) => node.start()))
  await Promise.all(nodes.map(isIn))
  for (const node of nodes) assert.equal(node.peers.list.length, 1)
})

test('an IPv4 address that is written as IPv6 is the same address', async (t) => {
  const seed = await startNode(t)
  const { port } = seed.options
  const mapped = await startNode(t, {
    address: '::ffff:127.0.0.1',
    seeds: [`[::FFFF:7f00:1]:${port}`],
  })
  await isIn(mapped)
  await isIn(seed)
  assert.equal(mapped.options.address, LOOPBACK)
  assert.equal(seed.peers.list[0].remoteAddress, LOOPBACK)
  const same = await mapped.addPeer('::ffff:127.0.0.1', port)
  assert.equal(same, mapped.peers.list[0])
  await assert.rejects(mapped.addPeer('::ffff:127.0.0.1', mapped.options.port), {
    code: 'ERR_SMOKE_SELF',
  })
})
