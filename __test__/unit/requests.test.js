'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { KINDS, REQUEST, Requests } = require('../../lib/requests')
const { Net, settled } = require('./fake-net')

const LIMITS = { maxRequests: 100, maxHandled: 50, maxHandledPerNode: 20 }
const [, ANSWER, FAILURE, CANCEL] = KINDS
const USUAL = { timeout: 1000, signal: undefined }

/** Nodes on a network in memory. */
function start(ids, limits = LIMITS) {
  const net = new Net()
  const nodes = ids.map((id) =>
    net.add(id, (transport, clock) => {
      return new Requests(transport, limits, clock)
    }),
  )
  return { net, nodes }
}

/** One engine, and the messages that it sends. */
function alone(limits = LIMITS) {
  const sent = []
  const send = (id, kind, payload) => sent.push([id, kind, payload])
  const clock = new Net().clock
  const requests = new Requests({ send }, limits, clock)
  return { requests, sent, clock }
}

/** A sender, in the form that requests get. */
const sender = (from) => ({ from, authenticated: false })

test('a handler answers a request, and learns its sender', async () => {
  const {
    net,
    nodes: [a, b],
  } = start(['a', 'b'])
  b.handlers.set('sum', ({ from }, x, y) => `${from}:${x + y}`)
  b.handlers.set('later', async (_, x) => [x])
  b.handlers.set('nothing', () => {})
  const answers = ['sum', 'later', 'nothing'].map((name) => a.ask('b', name, [1, 2], USUAL))
  await net.run()
  assert.deepEqual(await Promise.all(answers), ['a:3', [1], undefined])
  const { requests, timeouts } = a.counters
  assert.deepEqual([requests, timeouts, b.counters.requestsHandled], [3, 0, 3])
})

test("a handler's error travels as a message and a code, without the stack", async () => {
  const {
    net,
    nodes: [a, b],
  } = start(['a', 'b'])
  const thrown = {
    error: Object.assign(new TypeError('bad'), { code: 'E_BAD', secret: 1 }),
    text: 'just text',
    nothing: undefined,
    hostile: {
      get message() {
        throw new Error('again')
      },
    },
    long: new Error('x'.repeat(100_000)),
    coded: { message: 'm', code: 7 },
  }
  for (const [name, error] of Object.entries(thrown)) {
    b.handlers.set(name, () => {
      throw error
    })
    b.handlers.set(`${name} later`, async () => {
      throw error
    })
  }
  const ask = (name) => a.ask('b', name, [], USUAL).catch((error) => error)
  const failed = [...b.handlers.keys()].map(async (name) => [name, await ask(name)])
  await net.run()
  const errors = Object.fromEntries(await Promise.all(failed))
  for (const [name, { code, from }] of Object.entries(errors)) {
    assert.deepEqual([code, from], ['ERR_SMOKE_REMOTE', 'b'], name)
  }
  assert.deepEqual(
    ['error', 'error later', 'text', 'coded'].map((name) => [
      errors[name].message,
      errors[name].remoteCode,
    ]),
    [
      ['bad', 'E_BAD'],
      ['bad', 'E_BAD'],
      ['just text', undefined],
      ['m', undefined],
    ],
  )
  assert.equal(errors.long.message.length, 1024)
  assert.equal(errors.hostile.message, 'the handler failed')
  assert.ok(!JSON.stringify(net.log).includes('requests.test'), 'a stack has travelled')
})

test('a request without a handler is an error', async () => {
  const {
    net,
    nodes: [a],
  } = start(['a', 'b'])
  const asked = a.ask('b', 'nope', [], USUAL)
  const rejected = assert.rejects(asked, { code: 'ERR_SMOKE_NO_HANDLER', from: 'b' })
  await net.run()
  await rejected
})

test('an answer that cannot be sent becomes an error of the handler', async () => {
  const {
    net,
    nodes: [a, b],
  } = start(['a', 'b'])
  const circular = {}
  circular.self = circular
  b.handlers.set('circular', () => circular)
  const rejected = assert.rejects(a.ask('b', 'circular', [], USUAL), { code: 'ERR_SMOKE_REMOTE' })
  await net.run()
  await rejected
})

test('an invalid request throws at the call, and leaves nothing behind', async () => {
  const {
    nodes: [a],
  } = start(['a', 'b'])
  assert.throws(() => a.ask('b', 'x', [1n], USUAL), TypeError)
  await assert.rejects(a.ask('nobody', 'x', [], USUAL), { code: 'ERR_SMOKE_UNREACHABLE' })
  assert.equal(a.counters.requests, 0)
})

test('a request rejects when its node leaves, and its handler is aborted', async () => {
  const {
    net,
    nodes: [a, b],
  } = start(['a', 'b'])
  let signal
  b.handlers.set('wait', (context) => {
    signal = context.signal
    return new Promise(() => {})
  })
  const rejected = assert.rejects(a.ask('b', 'wait', [], USUAL), { code: 'ERR_SMOKE_UNREACHABLE' })
  await net.run()
  assert.equal(signal.aborted, false)
  a.left('b')
  await rejected
  b.left('a')
  assert.equal(signal.aborted, true)
})

test('an abort rejects the request, aborts the handler, and drops its answer', async () => {
  const {
    net,
    nodes: [a, b],
  } = start(['a', 'b'])
  const controller = new AbortController()
  let signal
  let finish
  b.handlers.set('wait', (context) => {
    signal = context.signal
    return new Promise((resolve) => {
      finish = resolve
    })
  })
  const asked = a.ask('b', 'wait', [], { timeout: 1000, signal: controller.signal })
  const rejected = assert.rejects(asked, { name: 'AbortError', code: 'ABORT_ERR' })
  await net.run()
  controller.abort()
  await rejected
  await net.run()
  assert.equal(signal.aborted, true)
  finish(1)
  await net.run()
  assert.deepEqual(
    net.log.map(([, , kind]) => kind),
    [REQUEST, CANCEL],
  )
  const late = a.ask('b', 'wait', [], { timeout: 1000, signal: controller.signal })
  await assert.rejects(late, { code: 'ABORT_ERR' })
})

test('a request times out on both sides', async () => {
  const {
    net,
    nodes: [a, b],
  } = start(['a', 'b'])
  let signal
  b.handlers.set('wait', (context) => {
    signal = context.signal
    return new Promise(() => {})
  })
  const asked = a.ask('b', 'wait', [], { timeout: 50, signal: undefined })
  const rejected = assert.rejects(asked, { code: 'ERR_SMOKE_TIMEOUT' })
  await net.run()
  await net.pass(49)
  assert.equal(signal.aborted, false)
  await net.pass(60)
  await rejected
  assert.equal(signal.aborted, true)
  assert.equal(a.counters.timeouts, 1)
})

test('a poll of all nodes yields replies, errors and missing nodes', async () => {
  const ids = ['a', 'ok', 'late', 'fails', 'none', 'leaves']
  const {
    net,
    nodes: [a, ok, late, fails, , leaves],
  } = start(ids)
  ok.handlers.set('ping', () => 'pong')
  for (const node of [late, leaves]) node.handlers.set('ping', () => new Promise(() => {}))
  fails.handlers.set('ping', () => {
    throw new Error('no')
  })
  const others = ids.slice(1)
  const send = (kind, payload) => {
    for (const id of others) net.send('a', id, kind, payload)
  }
  const asked = a.askAll(others, send, 'ping', [], { timeout: 100, signal: undefined })
  await net.run()
  a.left('leaves')
  await net.pass(101)
  const { replies, missing, errors } = await asked
  assert.deepEqual([...replies], [['ok', 'pong']])
  assert.deepEqual(missing.sort(), ['fails', 'late', 'leaves', 'none'])
  const codes = [...errors].map(([id, { code }]) => `${id} ${code}`).sort()
  assert.deepEqual(codes, [
    'fails ERR_SMOKE_REMOTE',
    'leaves ERR_SMOKE_UNREACHABLE',
    'none ERR_SMOKE_NO_HANDLER',
  ])
  const nobody = await a.askAll([], () => {}, 'ping', [], USUAL)
  assert.deepEqual([nobody.replies.size, nobody.missing], [0, []])
})

test('unrequested answers are ignored: other numbers, other nodes, a second time', async () => {
  const { requests, sent } = alone()
  const asked = requests.ask('b', 'x', [], USUAL)
  const [[, , [number]]] = sent
  requests.received(sender('b'), ANSWER, [number + 1, 'forged'])
  requests.received(sender('c'), ANSWER, [number, 'forged'])
  requests.received(sender('c'), FAILURE, [number, 0, 'E', 'forged'])
  requests.received(sender('b'), ANSWER, [number, 'true'])
  requests.received(sender('b'), ANSWER, [number, 'again'])
  assert.equal(await asked, 'true')
  assert.equal(requests.counters.answersIgnored, 4)

  let poll
  const send = (_, payload) => {
    poll = payload[0]
  }
  const all = requests.askAll(['b', 'c'], send, 'x', [], USUAL)
  requests.received(sender('d'), ANSWER, [poll, 'forged'])
  requests.received(sender('b'), ANSWER, [poll, 1])
  requests.received(sender('b'), ANSWER, [poll, 'again'])
  requests.received(sender('c'), ANSWER, [poll, 2])
  assert.deepEqual(
    [...(await all).replies],
    [
      ['b', 1],
      ['c', 2],
    ],
  )
  assert.equal(requests.counters.answersIgnored, 6)
})

test('nonsense is refused and harms nothing', () => {
  const { requests, sent } = alone()
  let calls = 0
  requests.handlers.set('x', () => calls++)
  const nonsense = [
    undefined,
    null,
    1,
    'x',
    {},
    [],
    ['1'],
    [1.5],
    [2 ** 60],
    [1],
    [1, 'x'],
    [1, 0, 'x', []],
    [1, -1, 'x', []],
    [1, 2 ** 40, 'x', []],
    [1, '5', 'x', []],
    [1, 5, 7, []],
    [1, 5, 'x', {}],
    [1, 5, 'x'],
    [null, 5, 'x', []],
    [1, null, 'x', []],
  ]
  for (const payload of nonsense)
    for (const kind of KINDS) requests.received(sender('m'), kind, payload)
  assert.equal(calls, 0)
  assert.deepEqual(sent, [])
  assert.equal(requests.counters.requestsHandled, 0)
})

test("a node's open requests are bounded: its own, and those that it handles", async () => {
  const limits = { maxRequests: 3, maxHandled: 5, maxHandledPerNode: 2 }
  const { requests, sent } = alone(limits)
  const asked = [1, 2, 3].map(() => requests.ask('b', 'x', [], USUAL))
  for (const promise of asked) promise.catch(() => {})
  await assert.rejects(requests.ask('b', 'x', [], USUAL), { code: 'ERR_SMOKE_OVERLOADED' })
  const polled = requests.askAll(['b'], () => {}, 'x', [], USUAL)
  await assert.rejects(polled, { code: 'ERR_SMOKE_OVERLOADED' })

  let running = 0
  let most = 0
  const ends = []
  const ofNode = {}
  requests.handlers.set('work', ({ from }) => {
    ofNode[from] = (ofNode[from] ?? 0) + 1
    most = Math.max(most, ++running)
    return new Promise((resolve) => ends.push(resolve)).then(() => running--)
  })
  sent.length = 0
  for (const from of ['m', 'n', 'o', 'p']) {
    // Timed-out requests whose handlers still run make no room.
    for (let n = 0; n < 10; n++) requests.received(sender(from), REQUEST, [n, 1, 'work', []])
  }
  assert.equal(most, 5)
  assert.deepEqual(ofNode, { m: 2, n: 2, o: 1 })
  assert.equal(requests.counters.requestsRefused, 35)
  assert.ok(sent.every(([, kind, [, reason]]) => kind === FAILURE && reason === 2))
  for (const end of ends) end()
  await settled()
  requests.received(sender('m'), REQUEST, [11, 1000, 'work', []])
  assert.equal(running, 1)
})

test('a request that arrives again while it is handled is handled once', () => {
  const { requests } = alone()
  let calls = 0
  requests.handlers.set('x', () => {
    calls++
    return new Promise(() => {})
  })
  for (let n = 0; n < 3; n++) requests.received(sender('m'), REQUEST, [1, 1000, 'x', []])
  assert.equal(calls, 1)
})

test('a stop rejects pending requests and aborts the handlers', async () => {
  const { requests } = alone()
  let signal
  requests.handlers.set('x', (context) => {
    signal = context.signal
    return new Promise(() => {})
  })
  requests.received(sender('m'), REQUEST, [1, 1000, 'x', []])
  const asked = [
    requests.ask('b', 'y', [], USUAL),
    requests.askAll(['b'], () => {}, 'y', [], USUAL),
  ]
  requests.stop(Object.assign(new Error(), { code: 'STOPPED' }))
  for (const promise of asked) await assert.rejects(promise, { code: 'STOPPED' })
  assert.equal(signal.aborted, true)
})
