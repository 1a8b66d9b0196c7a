'use strict'

// A member that knows the secret, and lies about other members or speaks in their names.

const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')
const { test } = require('node:test')
const { NativePeer, frames, record } = require('../support/native-wire')
const { startNode } = require('../support/nodes')
const { event, poll } = require('../support/wait')

const secret = randomBytes(32)

/** Nodes a, b and c, and a liar that is a peer of a's and has their records. */
async function startNetwork(t) {
  const a = await startNode(t, { secret })
  const seeds = [{ address: '127.0.0.1', port: a.options.port }]
  const [b, c] = [await startNode(t, { secret, seeds }), await startNode(t, { secret, seeds })]
  const nodes = [a, b, c]
  await Promise.all(nodes.map((node) => node.ready({ members: 3, timeout: 10_000 })))
  return nodes
}

async function infiltrate(t, port, ids) {
  const liar = await NativePeer.join(port, '', { secret, members: 'signed' })
  t.after(() => liar.destroy())
  await liar.learn(ids)
  return liar
}

const idsOf = (nodes) => nodes.map(({ id }) => id)

test('a member cannot end, change or add another in the lists of members', async (t) => {
  const nodes = await startNetwork(t)
  const [a, b, c] = nodes
  const seen = []
  for (const node of nodes) {
    for (const name of ['leave', 'update']) node.members.on(name, ({ id }) => seen.push([name, id]))
  }
  const [version, epoch] = [1n << 40n, 1n]
  const lies = [
    ({ origins }) => record({ ...origins.get(c.id), version, isFinal: true }),
    ({ origins }) => record({ ...origins.get(c.id), version, body: '{"m":"mine"}' }),
    ({ id }) => record({ id: 'madeup', epoch, version, neighbours: [id, a.id] }),
    ({ records }) => {
      // The version is behind the id and the epoch; the signature is under it.
      const raw = Buffer.from(records.get(c.id))
      raw.writeBigUInt64BE(version, 1 + raw[0] + 8)
      return raw
    },
    ({ records }) => {
      const raw = Buffer.from(records.get(c.id))
      raw[raw.length - 1] ^= 1
      raw.writeBigUInt64BE(version, 1 + raw[0] + 8)
      return raw
    },
  ]
  for (const [index, lie] of lies.entries()) {
    const liar = await infiltrate(t, a.options.port, idsOf(nodes))
    const before = a.stats().recordsForged
    liar.raw(frames.records([lie(liar)]))
    await poll(() => a.stats().recordsForged > before, 5000, `lie ${index} is refused`)
    liar.destroy()
  }
  // Known records again, old or not, are no lies.
  const liar = await infiltrate(t, a.options.port, idsOf(nodes))
  const before = a.stats().recordsForged
  liar.raw(frames.records([...liar.records.values()]))
  const heard = event(c.direct, 'after')
  b.to(c.id).emit('after')
  await heard
  assert.equal(a.stats().recordsForged, before)
  // Whoever goes on lying is thrown out.
  const forged = record({ ...liar.origins.get(c.id), version, isFinal: true })
  for (let n = 0; n < 4; n++) liar.raw(frames.records([forged]))
  await liar.until(() => liar.closed, 5000, 'the liar is thrown out')
  assert.deepEqual(seen, [])
  for (const node of nodes) assert.deepEqual([...node.members.keys()].sort(), idsOf(nodes).sort())
})

test('a member cannot speak or answer in the name of another', async (t) => {
  const nodes = await startNetwork(t)
  const [a, b, c] = nodes
  const heard = []
  for (const node of nodes)
    node.direct.on('pay', (sender, ...args) => heard.push([sender, ...args]))
  b.handle('sum', ({ from, authenticated }, x, y) => ({ from, authenticated, sum: x + y }))
  const liar = await infiltrate(t, a.options.port, idsOf(nodes))
  const [from, to] = [liar.origins.get(c.id), liar.origins.get(b.id)]
  const code = randomBytes(16)
  const before = b.stats().routedForged
  for (const receiver of [{ origin: to, code }, { origin: to }]) {
    const texts = ['["pay","forged"]']
    liar.raw(frames.letter({ from, to: [receiver], texts }))
    // As if b had said so of c's: c would skip all it sends.
    liar.raw(frames.note({ from, to, what: 1, count: 1000, code: receiver.code }))
  }
  await poll(() => b.stats().routedForged >= before + 4, 5000, 'all of it is refused')
  const answer = await c.to(b.id).emitWithAck('sum', 1, 2)
  assert.deepEqual(answer, { from: c.id, authenticated: true, sum: 3 })
  const asked = await c.broadcast.emitWithAck('sum', 1, 2)
  assert.deepEqual(asked.replies.get(b.id), { from: c.id, authenticated: false, sum: 3 })
  const told = event(b.direct, 'pay')
  c.to(b.id).emit('pay', 'genuine')
  await told
  assert.deepEqual(heard, [[{ from: c.id, authenticated: true }, 'genuine']])
})

test('in an open network, nobody is said to be authenticated', async (t) => {
  const a = await startNode(t)
  const b = await startNode(t, { seeds: [{ address: '127.0.0.1', port: a.options.port }] })
  await Promise.all([a, b].map((node) => node.ready({ timeout: 10_000 })))
  const told = event(a.direct, 'x')
  b.to(a.id).emit('x')
  assert.deepEqual(await told, [{ from: b.id, authenticated: false }])
  const own = event(a.direct, 'own')
  a.to(a.id).emit('own')
  assert.deepEqual(await own, [{ from: a.id, authenticated: true }])
})
