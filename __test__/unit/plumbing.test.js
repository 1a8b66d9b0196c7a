'use strict'

const assert = require('node:assert/strict')
const { EventEmitter } = require('node:events')
const readline = require('node:readline')
const { PassThrough, Readable, Stream, finished, pipeline } = require('node:stream')
const { test } = require('node:test')
const { isPlumbing } = require('../../lib/plumbing')
const { fakeNetwork, settled } = require('./fake-node')

const NAMES = [
  'close',
  'finish',
  'end',
  'error',
  'unpipe',
  'drain',
  'readable',
  'prefinish',
  'data',
]

/** Ways to pass a channel to Node.js's own stream code; each returns a sign of its end. */
const USES = {
  'pipe to it': (channel) => {
    const source = new PassThrough()
    source.pipe(channel)
    return () => source.listenerCount('data') === 0
  },
  'pipe of an old stream': (channel) => {
    const source = new Stream()
    source.pipe(channel)
    return () => source.listenerCount('data') === 0
  },
  finished: (channel) => {
    let hasEnded = false
    finished(channel, () => {
      hasEnded = true
    })
    return () => hasEnded
  },
  'pipeline through it': (channel) => {
    let hasEnded = false
    pipeline(new PassThrough(), channel, new PassThrough(), () => {
      hasEnded = true
    })
    return () => hasEnded
  },
  'pipeline of a generator': (channel) => {
    let hasEnded = false
    const forever = async function* () {
      yield 'x'
      await new Promise(() => {})
    }
    pipeline(forever, channel, () => {
      hasEnded = true
    })
    return () => hasEnded
  },
  readline: (channel) => {
    let hasEnded = false
    readline.createInterface({ input: channel }).on('close', () => {
      hasEnded = true
    })
    return () => hasEnded
  },
  toWeb: (channel) => {
    let hasEnded = false
    const reader = Readable.toWeb(channel).getReader()
    reader.closed.finally(() => {
      hasEnded = true
    })
    return () => hasEnded
  },
}

for (const [name, use] of Object.entries(USES)) {
  test(`no remote event ends ${name}`, async (t) => {
    const { native, node } = await fakeNetwork(t)
    const hasEnded = use(node.broadcast)
    native.filters.set(0, { names: null, flags: 3 })
    native.push(...NAMES.map((event) => [0, [event, { message: 'boo' }]]))
    await settled()
    assert.equal(hasEnded(), false)
  })
}

test("an application's listener is not mistaken for a stream's", async (t) => {
  const { native, node } = await fakeNetwork(t)
  const heard = []
  const through = new PassThrough()
  through.on('data', () => {
    for (const name of NAMES) node.broadcast.on(name, () => heard.push(name))
    for (const name of NAMES) node.broadcast.once(name, () => heard.push(`${name} once`))
  })
  through.write('go')
  await settled()
  native.push(...NAMES.map((event) => [0, [event]]))
  await settled()
  assert.deepEqual(
    heard,
    NAMES.flatMap((name) => [name, `${name} once`]),
  )
})

test('the format of stack traces does not matter', async (t) => {
  const { prepareStackTrace, stackTraceLimit } = Error
  t.after(() => Object.assign(Error, { prepareStackTrace, stackTraceLimit }))
  Error.prepareStackTrace = (_, frames) => frames
  Error.stackTraceLimit = 0
  const { native, node } = await fakeNetwork(t)
  let hasEnded = false
  pipeline(new PassThrough(), node.broadcast, new PassThrough(), () => {
    hasEnded = true
  })
  const heard = []
  node.broadcast.on('close', (what) => heard.push(what))
  await settled()
  native.push([0, ['close', 'the shop']])
  await settled()
  assert.deepEqual([hasEnded, heard], [false, ['the shop']])
})

test("an application's listeners of any form are its own", () => {
  function onclose() {}
  const bound = onclose.bind(null)
  const proxy = new Proxy(onclose, {})
  for (const listener of [onclose, bound, proxy, class {}, async () => {}, undefined, null, {}]) {
    assert.equal(isPlumbing(listener), false)
  }
  const emitter = new EventEmitter().once('x', onclose)
  assert.equal(isPlumbing(emitter.rawListeners('x')[0]), false)
})

test("a failed stream's error stays local; an application's error is sent", async (t) => {
  const { native, node } = await fakeNetwork(t)
  const heard = []
  node.broadcast.stream.on('error', (error) => heard.push(error.message))
  const source = new PassThrough()
  source.pipe(node.broadcast)
  node.broadcast.destroy(new Error('broken'))
  await settled()
  assert.deepEqual(heard[0], 'broken')
  assert.deepEqual(native.sent(), [])
  node.broadcast.emit('error', new Error('mine'))
  assert.deepEqual(native.sent(), [['emit', 0, '["error",{}]']])
})
