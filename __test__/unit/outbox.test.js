'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { Outbox } = require('../../lib/outbox')
const { fakeBinding } = require('./fake-binding')

const MAX = 100 * 1024
const ROOM = 0
const PRESSED = 1
const OVERLOADED = 2
const CLOSED = 3

function openOutbox() {
  const binding = fakeBinding()
  const native = new binding.NativeNode(() => {})
  const outbox = new Outbox(native, 7, MAX)
  outbox.open()
  return { native, outbox }
}

const tick = () => new Promise(setImmediate)

/** Sends the event with this JSON text. */
const send = (outbox, text) => outbox.event(text)

test('the first event of a tick is sent at once, the others in one batch at its end', async () => {
  const { native, outbox } = openOutbox()
  for (const text of ['["a"]', '["b"]', '["c"]']) assert.equal(send(outbox, text), true)
  assert.deepEqual(native.sent(), [['emit', 7, '["a"]']])
  await tick()
  assert.deepEqual(native.sent(), [['emit', 7, '["b"]\n["c"]']])
  send(outbox, '["d"]')
  assert.deepEqual(native.sent(), [['emit', 7, '["d"]']])
  await tick()
  assert.deepEqual(native.sent(), [])
})

test('messages of a busy sender cross once per two ticks, and the last one does not wait', async () => {
  const { native, outbox } = openOutbox()
  const text = `["${'x'.repeat(1000)}"]`
  const texts = (count) => Array(count).fill(text)
  const say = (count) => {
    for (const one of texts(count)) send(outbox, one)
  }
  const heard = () => native.sent().map(([, , sent]) => sent)
  say(4)
  await tick()
  assert.deepEqual(heard(), [text, texts(3).join('\n')])
  say(4)
  await tick()
  assert.deepEqual(heard(), [])
  say(4)
  await tick()
  assert.deepEqual(heard(), [texts(8).join('\n')])
  say(4)
  await tick()
  await tick()
  assert.deepEqual(heard(), [texts(4).join('\n')])
  await tick()
  say(1)
  await tick()
  assert.deepEqual(heard(), [text], 'after a silent tick, the sender still counts as busy once')
  say(2)
  assert.deepEqual(heard(), [text], 'the first goes at once again')
})

test('a large batch does not wait for the end of the tick', () => {
  const { native, outbox } = openOutbox()
  const text = `["${'x'.repeat(20_000)}"]`
  for (let count = 0; count < 5; count++) send(outbox, text)
  const sizes = native.sent().map(([, , sent]) => sent.split('\n').length)
  assert.deepEqual(sizes, [1, 4])
})

test('order is kept between events, attachments, chunks and lines', () => {
  const { native, outbox } = openOutbox()
  send(outbox, '["a"]')
  send(outbox, '["b"]')
  outbox.rich('["c"]', [Buffer.from('bin')])
  send(outbox, '["d"]')
  outbox.chunk(Buffer.from('e'), () => {})
  send(outbox, '["f"]')
  outbox.line('["g"]')
  send(outbox, '["h"]')
  send(outbox, `["${'i'.repeat(80_000)}"]`)
  outbox.flush()
  assert.deepEqual(
    native.sent().map(([call, , text]) => [call, text.slice(0, 5)]),
    [
      ['emit', '["a"]'],
      ['emit', '["b"]'],
      ['emitRich', '["c"]'],
      ['emit', '["d"]'],
      ['write', 'e'],
      ['emit', '["f"]'],
      ['line', '["g"]'],
      ['emit', '["h"]'],
      ['emit', '["iii'],
    ],
  )
})

test('backpressure is reported until there is room again', async () => {
  const { native, outbox } = openOutbox()
  native.outcomes = [PRESSED]
  assert.equal(send(outbox, '["a"]'), false)
  assert.equal(send(outbox, '["b"]'), false)
  assert.equal(outbox.drained(), true)
  assert.equal(send(outbox, '["c"]'), true)
})

test('a chunk accepted under backpressure is done when there is room', () => {
  const { native, outbox } = openOutbox()
  const done = []
  const chunk = (text) => outbox.chunk(Buffer.from(text), () => done.push(text))
  native.outcomes = [ROOM, PRESSED]
  for (const text of ['a', 'b', 'c']) chunk(text)
  assert.deepEqual(done, ['a', 'b', 'c'])
  outbox.flush()
  chunk('d')
  assert.deepEqual(done, ['a', 'b', 'c'])
  assert.equal(outbox.drained(), true)
  assert.deepEqual(done, ['a', 'b', 'c', 'd'])
  assert.deepEqual(
    native.sent().map(([, , text]) => text),
    ['a', 'b', 'c'],
  )
  outbox.flush()
  assert.deepEqual(native.sent(), [['write', 7, 'd']])
})

test('messages refused by an overloaded addon are held and sent later, in order', async () => {
  const { native, outbox } = openOutbox()
  const done = []
  const attachment = Buffer.from('before')
  native.outcomes = [ROOM, OVERLOADED]
  send(outbox, '["a"]')
  assert.equal(outbox.rich('["b"]', [attachment]), true)
  attachment.write('after!')
  assert.equal(send(outbox, '["c"]'), false)
  outbox.chunk(Buffer.from('d'), () => done.push('d'))
  outbox.flush()
  native.sent()
  native.outcomes = [ROOM, OVERLOADED]
  assert.equal(outbox.drained(), false)
  assert.deepEqual(native.sent(), [
    ['emitRich', 7, '["b"]', ['before']],
    ['emit', 7, '["c"]'],
  ])
  native.outcomes = [ROOM, PRESSED]
  assert.equal(outbox.drained(), false)
  assert.deepEqual(native.sent(), [
    ['emit', 7, '["c"]'],
    ['write', 7, 'd'],
  ])
  assert.deepEqual(done, [])
  assert.equal(outbox.drained(), true)
  assert.deepEqual(done, ['d'])
})

test('an application that ignores backpressure finally gets an error, and loses nothing', async () => {
  const { native, outbox } = openOutbox()
  native.emit = () => OVERLOADED
  const text = `["${'x'.repeat(10_000)}"]`
  let taken = 0
  assert.throws(
    () => {
      for (;;) {
        send(outbox, text)
        taken++
      }
    },
    { name: 'SmokeError', code: 'ERR_SMOKE_OVERLOADED' },
  )
  assert.throws(() => outbox.rich('["x"]', [Buffer.alloc(1)]), { code: 'ERR_SMOKE_OVERLOADED' })
  assert.throws(() => outbox.line('["x"]'), { code: 'ERR_SMOKE_OVERLOADED' })
  let sent = 0
  native.emit = (_, batch) => {
    sent += batch.split('\n').length
    return ROOM
  }
  outbox.drained()
  outbox.flush()
  assert.equal(sent, taken)
})

test('messages over the limit are refused before anything is sent', () => {
  const { native, outbox } = openOutbox()
  const tooLarge = { name: 'RangeError', code: 'ERR_SMOKE_TOO_LARGE' }
  const size = (bytes) => `["${'x'.repeat(bytes - 4)}"]`
  assert.throws(() => send(outbox, size(MAX + 1)), tooLarge)
  assert.throws(() => send(outbox, `["${'é'.repeat(MAX / 2)}"]`), tooLarge)
  assert.throws(() => outbox.line(size(MAX + 1)), tooLarge)
  assert.throws(() => outbox.rich('["a"]', [new Uint8Array(MAX)]), tooLarge)
  assert.deepEqual(native.sent(), [])
  assert.equal(send(outbox, size(MAX)), true)
})

test('consecutive bytes of one kind in a tick are sent as one run, and may change afterwards', async () => {
  const { native, outbox } = openOutbox()
  const runs = []
  const emitRun = native.emitRun.bind(native)
  native.emitRun = (...args) => {
    runs.push(args[2])
    return emitRun(...args)
  }
  const bytes = Buffer.from('bytes')
  for (let n = 0; n < 3; n++) outbox.rich('["é"]', [bytes, Buffer.alloc(0)])
  for (let n = 0; n < 2; n++) outbox.chunk(bytes, () => {})
  bytes.fill('x')
  await tick()
  const rich = ['emitRich', 7, '["é"]', ['bytes', '']]
  const chunk = ['write', 7, 'bytes']
  assert.deepEqual(native.sent(), [rich, rich, rich, chunk, chunk])
  assert.deepEqual(runs, [2, 2])
})

test('large bytes are sent at once and alone, after the batch', async () => {
  const { native, outbox } = openOutbox()
  const calls = () => native.sent().map(([call, , text]) => [call, text.length])
  for (let n = 0; n < 3; n++) outbox.chunk(Buffer.alloc(20_000), () => {})
  outbox.chunk(Buffer.alloc(50_000), () => {})
  assert.deepEqual(calls(), Array(3).fill(['write', 20_000]))
  outbox.chunk(Buffer.alloc(64 * 1024), () => {})
  assert.deepEqual(calls(), [
    ['write', 50_000],
    ['write', 65_536],
  ])
  await tick()
  assert.deepEqual(calls(), [])
})

test('closing sends the batch and releases the stream', () => {
  const { native, outbox } = openOutbox()
  const done = []
  send(outbox, '["a"]')
  send(outbox, '["b"]')
  native.outcomes = [ROOM, PRESSED]
  outbox.chunk(Buffer.from('c'), () => done.push('c'))
  send(outbox, '["d"]')
  outbox.close()
  assert.deepEqual(
    native.sent().map(([, , text]) => text),
    ['["a"]', '["b"]', 'c', '["d"]'],
  )
  assert.deepEqual(done, ['c'])
  assert.equal(send(outbox, '["e"]'), false)
  outbox.chunk(Buffer.from('f'), () => done.push('f'))
  assert.deepEqual(done, ['c', 'f'])
  assert.deepEqual(native.sent(), [])
})

test('a channel that the addon has closed takes nothing and returns false', () => {
  const { native, outbox } = openOutbox()
  native.outcomes = [CLOSED]
  assert.equal(send(outbox, '["a"]'), false)
})
