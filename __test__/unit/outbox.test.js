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

test('the first event of a tick goes at once, the others as one when it ends', async () => {
  const { native, outbox } = openOutbox()
  for (const text of ['["a"]', '["b"]', '["c"]']) assert.equal(outbox.event(text), true)
  assert.deepEqual(native.sent(), [['emit', 7, '["a"]']])
  await tick()
  assert.deepEqual(native.sent(), [['emit', 7, '["b"]\n["c"]']])
  outbox.event('["d"]')
  assert.deepEqual(native.sent(), [['emit', 7, '["d"]']])
  await tick()
  assert.deepEqual(native.sent(), [])
})

test('a large batch does not wait for the end of the tick', () => {
  const { native, outbox } = openOutbox()
  const text = `["${'x'.repeat(10_000)}"]`
  for (let count = 0; count < 5; count++) outbox.event(text)
  const sizes = native.sent().map(([, , sent]) => sent.split('\n').length)
  assert.deepEqual(sizes, [1, 4])
})

test('order is kept between events, attachments, chunks and lines', () => {
  const { native, outbox } = openOutbox()
  outbox.event('["a"]')
  outbox.event('["b"]')
  outbox.rich('["c"]', [Buffer.from('bin')])
  outbox.event('["d"]')
  outbox.chunk(Buffer.from('e'), () => {})
  outbox.event('["f"]')
  outbox.line('["g"]')
  outbox.event('["h"]')
  outbox.event(`["${'i'.repeat(40_000)}"]`)
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

test('pressure is told until there is room again', async () => {
  const { native, outbox } = openOutbox()
  native.outcomes = [PRESSED]
  assert.equal(outbox.event('["a"]'), false)
  assert.equal(outbox.event('["b"]'), false)
  assert.equal(outbox.drained(), true)
  assert.equal(outbox.event('["c"]'), true)
})

test('a chunk that was taken under pressure is done when there is room', () => {
  const { native, outbox } = openOutbox()
  const done = []
  native.outcomes = [ROOM, PRESSED]
  outbox.chunk(Buffer.from('a'), () => done.push('a'))
  outbox.chunk(Buffer.from('b'), () => done.push('b'))
  assert.deepEqual(done, ['a'])
  assert.equal(outbox.drained(), true)
  assert.deepEqual(done, ['a', 'b'])
})

test('what an overloaded addon refuses is held and goes later, in order', async () => {
  const { native, outbox } = openOutbox()
  const done = []
  const attachment = Buffer.from('before')
  native.outcomes = [ROOM, OVERLOADED]
  outbox.event('["a"]')
  assert.equal(outbox.rich('["b"]', [attachment]), false)
  attachment.write('after!')
  assert.equal(outbox.event('["c"]'), false)
  outbox.chunk(Buffer.from('d'), () => done.push('d'))
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

test('an application that ignores pressure gets an error in the end, and nothing is lost', async () => {
  const { native, outbox } = openOutbox()
  native.emit = () => OVERLOADED
  const text = `["${'x'.repeat(10_000)}"]`
  let taken = 0
  assert.throws(
    () => {
      for (;;) {
        outbox.event(text)
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
  assert.throws(() => outbox.event(size(MAX + 1)), tooLarge)
  assert.throws(() => outbox.event(`["${'é'.repeat(MAX / 2)}"]`), tooLarge)
  assert.throws(() => outbox.line(size(MAX + 1)), tooLarge)
  assert.throws(() => outbox.rich('["a"]', [new Uint8Array(MAX)]), tooLarge)
  assert.deepEqual(native.sent(), [])
  assert.equal(outbox.event(size(MAX)), true)
})

test('a chunk over the limit goes in pieces', () => {
  const { native, outbox } = openOutbox()
  let isDone = false
  outbox.chunk(Buffer.alloc(2 * MAX + 1), () => {
    isDone = true
  })
  assert.deepEqual(
    native.sent().map(([, , chunk]) => chunk.length),
    [MAX, MAX, 1],
  )
  assert.equal(isDone, true)
})

test('closing sends what was collected and releases the stream', () => {
  const { native, outbox } = openOutbox()
  const done = []
  outbox.event('["a"]')
  outbox.event('["b"]')
  native.outcomes = [ROOM, PRESSED]
  outbox.chunk(Buffer.from('c'), () => done.push('c'))
  outbox.event('["d"]')
  outbox.close()
  assert.deepEqual(
    native.sent().map(([, , text]) => text),
    ['["a"]', '["b"]', 'c', '["d"]'],
  )
  assert.deepEqual(done, ['c'])
  assert.equal(outbox.event('["e"]'), false)
  outbox.chunk(Buffer.from('f'), () => done.push('f'))
  assert.deepEqual(done, ['c', 'f'])
  assert.deepEqual(native.sent(), [])
})

test('a channel that the addon has closed takes nothing and says so', () => {
  const { native, outbox } = openOutbox()
  native.outcomes = [CLOSED]
  assert.equal(outbox.event('["a"]'), false)
})
