'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { attach, detach, isOrHasBinary } = require('../../lib/attachments')

test('binary data is found wherever it is', () => {
  const binary = [
    Buffer.from('a'),
    new Uint8Array(1),
    new Float64Array(1),
    new DataView(new ArrayBuffer(1)),
    new ArrayBuffer(1),
    new SharedArrayBuffer(1),
  ]
  for (const value of binary) {
    assert.equal(isOrHasBinary(value), true)
    assert.equal(isOrHasBinary({ a: [null, { b: value }] }), true)
  }
})

test('values without it are told apart, cycles and shared parts included', () => {
  const shared = { a: 1 }
  const cycle = { shared }
  cycle.self = [cycle]
  const plain = [1, 'x', null, undefined, new Date(), [], { shared, again: shared }, new Map()]
  assert.equal([...plain, cycle].some(isOrHasBinary), false)
  assert.equal(isOrHasBinary({ toJSON: () => 1, buffer: Buffer.from('a') }), false)
})

test('what was taken out comes back in place', () => {
  const value = JSON.parse('{"__proto__":{"x":1},"n":null}')
  const message = ['e', Buffer.from('one'), { deep: [value, new Uint16Array([1])] }, new Date(0)]
  const attachments = []
  const json = JSON.stringify(detach(message, attachments))
  assert.equal(
    json,
    '["e",{"\\u0000b":0},{"deep":[{"__proto__":{"x":1},"n":null},{"\\u0000b":1}]},' +
      '"1970-01-01T00:00:00.000Z"]',
  )
  const came = attach(
    JSON.parse(json),
    attachments.map((bytes) => Buffer.from(bytes)),
  )
  assert.deepEqual(came, [
    'e',
    Buffer.from('one'),
    { deep: [value, Buffer.from([1, 0])] },
    '1970-01-01T00:00:00.000Z',
  ])
})

test('a view sends its part of the memory only', () => {
  const attachments = []
  detach(['e', new Uint8Array([1, 2, 3, 4]).subarray(1, 3)], attachments)
  assert.deepEqual(
    attachments.map((bytes) => [...bytes]),
    [[2, 3]],
  )
})

test('placeholders that refer to nothing are left as they are', () => {
  for (const index of ['length', 'map', -1, 1, 0.5, null, '0']) {
    const message = ['e', { '\0b': index }]
    assert.deepEqual(attach(message, [Buffer.from('a')]), ['e', { '\0b': index }])
  }
  const message = JSON.parse('["e",{"__proto__":{"\\u0000b":0}}]')
  assert.equal(Object.getPrototypeOf(attach(message, [Buffer.from('a')])[1]), Object.prototype)
})
