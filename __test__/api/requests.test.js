'use strict'

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { test } = require('node:test')
const { startNetwork, startNode } = require('../support/nodes')
const { event, poll } = require('../support/wait')

const storage = new AsyncLocalStorage()

/** `count` nodes that know each other. */
async function startMembers(t, count, options) {
  const nodes = await startNetwork(t, count, options)
  await Promise.all(nodes.map((node) => node.ready({ members: count, timeout: 10_000 })))
  return nodes
}

const knows = (node, other, name) =>
  poll(() => node.members.get(other.id)?.handles.includes(name), 5000, `"${name}" is known`)

test('a request is answered for every kind of return value of the handler', async (t) => {
  const [a, b] = await startMembers(t, 2)
  b.handle('echo', (_, ...args) => args)
  b.handle('nothing', () => {})
  b.handle('later', async ({ from }, value) => ({ from, value }))
  const bytes = Buffer.from([0, 255])
  assert.deepEqual(await a.to(b.id).emitWithAck('echo', 1, { two: bytes }), [1, { two: bytes }])
  assert.equal(await a.to(b.id).emitWithAck('nothing'), undefined)
  assert.deepEqual(await a.to(b.id).emitWithAck('later', bytes), { from: a.id, value: bytes })
  const many = Array.from({ length: 500 }, (_, n) => a.to(b.id).emitWithAck('echo', n))
  assert.deepEqual(
    await Promise.all(many),
    many.map((_, n) => [n]),
  )
})

test('errors travel, with message and code', async (t) => {
  const [a, b] = await startMembers(t, 2)
  b.handle('fails', () => {
    throw Object.assign(new Error('no such thing'), { code: 'E_NONE' })
  })
  await assert.rejects(a.to(b.id).emitWithAck('fails'), {
    ...{ name: 'SmokeError', code: 'ERR_SMOKE_REMOTE', message: 'no such thing' },
    ...{ remoteCode: 'E_NONE', from: b.id },
  })
  await assert.rejects(a.to(b.id).emitWithAck('nope'), { code: 'ERR_SMOKE_NO_HANDLER' })
  await assert.rejects(a.to('nobody').emitWithAck('fails'), { code: 'ERR_SMOKE_UNREACHABLE' })
  await assert.rejects(a.request('nope'), { code: 'ERR_SMOKE_NO_HANDLER' })
})

test('requests go to the nodes with a handler in turn', async (t) => {
  const [a, b, c] = await startMembers(t, 3)
  for (const node of [b, c]) node.handle('who', () => node.id)
  for (const node of [b, c]) await knows(a, node, 'who')
  const answers = [await a.request('who'), await a.request('who')]
  assert.deepEqual(answers.sort(), [b.id, c.id].sort())
  a.handle('who', () => a.id)
  const all = [await a.request('who'), await a.request('who'), await a.request('who')]
  assert.deepEqual(all.sort(), [a.id, b.id, c.id].sort())
})

test('a request rejects when its node leaves, and a handler is aborted when the asking node leaves', async (t) => {
  const [a, b] = await startMembers(t, 2)
  let signal
  b.handle('never', (context) => {
    signal = context.signal
    return new Promise(() => {})
  })
  const asked = a.to(b.id).timeout(60_000).emitWithAck('never')
  await knows(a, b, 'never')
  const everyone = a.broadcast.timeout(60_000).emitWithAck('never')
  await poll(() => signal, 5000, 'the handler runs')
  const rejected = assert.rejects(asked, { code: 'ERR_SMOKE_UNREACHABLE', ids: [b.id] })
  await b.stop()
  await rejected
  const { replies, missing, errors } = await everyone
  assert.deepEqual([replies.size, missing], [0, [b.id]])
  assert.equal(errors.get(b.id).code, 'ERR_SMOKE_UNREACHABLE')
  assert.equal(signal.aborted, true)
})

test('an abort and a timeout reach the handler', async (t) => {
  const [a, b] = await startMembers(t, 2)
  const aborted = []
  let running = 0
  b.handle('never', ({ signal }, n) => {
    running++
    signal.addEventListener('abort', () => aborted.push(n))
    return new Promise(() => {})
  })
  const controller = new AbortController()
  const asked = a.to(b.id).signal(controller.signal).emitWithAck('never', 'abort')
  const late = a.to(b.id).timeout(50).emitWithAck('never', 'time')
  const rejected = [
    assert.rejects(asked, { name: 'AbortError' }),
    assert.rejects(late, { code: 'ERR_SMOKE_TIMEOUT' }),
  ]
  await poll(() => running === 2, 5000, 'both are handled')
  controller.abort()
  await Promise.all(rejected)
  await poll(() => aborted.length === 2, 5000, 'both handlers are told')
  assert.deepEqual(aborted.sort(), ['abort', 'time'])
  assert.equal(a.stats().timeouts, 1)
})

test('a broadcast request asks every node', async (t) => {
  const nodes = await startMembers(t, 5)
  const [a, ...others] = nodes
  for (const node of others.slice(1)) node.handle('ping', ({ from }) => [node.id, from])
  for (const node of others.slice(1)) await knows(a, node, 'ping')
  const { replies, missing, errors } = await a.broadcast.emitWithAck('ping')
  assert.deepEqual(
    [...replies].sort(),
    others
      .slice(1)
      .map(({ id }) => [id, [id, a.id]])
      .sort(),
  )
  assert.deepEqual(missing, [others[0].id])
  assert.equal(errors.get(others[0].id).code, 'ERR_SMOKE_NO_HANDLER')
  const ids = [others[1].id, a.id]
  a.handle('ping', () => 'self')
  const some = await a.to(ids).emitWithAck('ping')
  assert.deepEqual(
    some.replies,
    new Map([
      [others[1].id, [others[1].id, a.id]],
      [a.id, 'self'],
    ]),
  )
})

test('concurrent requests to a node are bounded, and further ones are refused', async (t) => {
  const [a, b] = await startMembers(t, 2, { limits: { maxHandledPerNode: 5, maxRequests: 50 } })
  const ends = []
  b.handle('hold', () => new Promise((resolve) => ends.push(resolve)))
  const asked = Array.from({ length: 50 }, () => a.to(b.id).emitWithAck('hold'))
  await assert.rejects(a.to(b.id).emitWithAck('hold'), { code: 'ERR_SMOKE_OVERLOADED' })
  const settled = Promise.allSettled(asked)
  await poll(() => b.stats().requestsRefused === 45, 5000, 'all are there')
  for (const end of ends) end('done')
  const outcomes = await settled
  assert.equal(outcomes.filter(({ value }) => value === 'done').length, 5)
  const refused = outcomes.filter(({ reason }) => reason?.code === 'ERR_SMOKE_OVERLOADED')
  assert.equal(refused.length, 45)
})

test("handlers run in their node's async context, continuations in that of the call", async (t) => {
  const a = await startNode(t)
  const seeds = [{ address: '127.0.0.1', port: a.options.port }]
  const b = await storage.run('boot', () => startNode(t, { seeds }))
  await Promise.all([a.ready(), b.ready()])
  const stores = new Set()
  storage.run('handle', () => {
    b.handle('store', async () => {
      stores.add(storage.getStore())
      await storage.run('inner', async () => {
        await new Promise(setImmediate)
        assert.equal(storage.getStore(), 'inner')
      })
      return storage.getStore()
    })
    b.direct.on('ev', () => stores.add(storage.getStore()))
  })
  const asked = Array.from({ length: 300 }, (_, n) =>
    storage.run(n, async () => {
      const there = await a.to(b.id).emitWithAck('store')
      return [there, storage.getStore()]
    }),
  )
  assert.deepEqual(
    await Promise.all(asked),
    asked.map((_, n) => ['boot', n]),
  )
  const heard = event(b.direct, 'last')
  for (let n = 0; n < 1000; n++) a.to(b.id).emit('ev', n)
  a.to(b.id).emit('last')
  await heard
  assert.deepEqual([...stores], ['boot'])
})
