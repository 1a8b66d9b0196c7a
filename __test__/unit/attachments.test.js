'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const vm = require('node:vm')
const { attach, detach, needsWriting } = require('../../lib/attachments')
const { randomValue, seeded } = require('./random-value')

const MAX = 4 * 1024 * 1024

/** `message` as it arrives. */
function arriving(message, maxSize = MAX) {
  const { json, attachments } = detach(message, maxSize)
  const parsed = JSON.parse(json)
  // Without attachments it is an ordinary event.
  if (attachments.length === 0) return parsed
  return attach(
    parsed,
    attachments.map((bytes) => Buffer.from(bytes)),
  )
}

/** The expected value: as JSON, with binary leaves as Buffers. */
function expected(message) {
  const leaves = []
  const mark = (value) => {
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value)
    leaves.push(Buffer.from(bytes))
    return `binary leaf ${leaves.length - 1}`
  }
  const isBinary = (value) =>
    ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer
  // As in JSON.stringify: with the holder as `this`, so that a Buffer is seen before its toJSON.
  const text = JSON.stringify([message], function (key, value) {
    if (isBinary(this[key])) return mark(this[key])
    return isBinary(value) ? mark(value) : value
  })
  return revive(JSON.parse(text)[0])

  function revive(value) {
    if (typeof value === 'string') {
      const [, index] = /^binary leaf (\d+)$/.exec(value) ?? []
      return index === undefined ? value : leaves[index]
    }
    if (typeof value !== 'object' || value === null) return value
    for (const key of Object.keys(value)) {
      const revived = revive(value[key])
      Object.defineProperty(value, key, {
        ...{ value: revived, writable: true, enumerable: true, configurable: true },
      })
    }
    return value
  }
}

test('binary data is found at any place', () => {
  const binary = [
    Buffer.from('a'),
    new Uint8Array(1),
    new Float64Array(1),
    new DataView(new ArrayBuffer(1)),
    new ArrayBuffer(1),
    new SharedArrayBuffer(1),
    vm.runInNewContext('new Uint8Array(1)'),
  ]
  for (const value of binary) {
    assert.equal(needsWriting(value), true)
    assert.equal(needsWriting({ a: [null, { b: value }] }), true)
    assert.equal(needsWriting([Array.from({ length: 5000 }, () => ({})), value]), true)
  }
})

test('values without binary data are recognised, with cycles and shared parts', () => {
  const shared = { a: 1 }
  const cycle = { shared }
  cycle.self = [cycle]
  const plain = [1, 'x', null, undefined, new Date(), [], { shared, again: shared }, new Map()]
  const large = Array.from({ length: 5000 }, () => ({ shared, text: 'x', call() {} }))
  assert.equal([...plain, cycle, large, Symbol('s'), 1n, () => {}].some(needsWriting), false)
})

test('random values arrive as JSON with binary leaves as Buffers, in any company', () => {
  const from = Number(process.env.FUZZ_FROM ?? 1)
  for (let seed = from; seed < from + 3000; seed++) {
    const random = seeded(seed)
    const value = randomValue(random)
    for (const message of [
      ['e', value],
      ['e', value, Buffer.from('beside')],
    ]) {
      assert.deepEqual(arriving(message), expected(message), `FUZZ_FROM=${seed}`)
    }
    if (!needsWriting(value)) {
      assert.deepEqual(
        JSON.parse(JSON.stringify(['e', value])),
        expected(['e', value]),
        `FUZZ_FROM=${seed}`,
      )
    }
  }
})

test('toJSON is called once, and may return binary data', () => {
  let calls = 0
  const picture = {
    toJSON() {
      calls++
      return { png: Buffer.from('bytes') }
    },
  }
  assert.deepEqual(arriving(['e', { picture }]), ['e', { picture: { png: Buffer.from('bytes') } }])
  assert.equal(calls, 1)
})

test('keys that look like placeholders arrive unchanged', () => {
  const odd = { '\0b': 0, '\0bb': { '\0b': 1 }, '\0c': 1, '\0': 2, b: 3 }
  for (const message of [
    ['e', odd],
    ['e', odd, Buffer.from('a'), Buffer.from('b')],
    ['e', { odd, toJSON: () => odd }],
  ]) {
    assert.deepEqual(arriving(message), expected(message))
  }
})

test('attachments return to their places', () => {
  const value = JSON.parse('{"__proto__":{"x":1},"n":null}')
  const message = ['e', Buffer.from('one'), { deep: [value, new Uint16Array([1])] }, new Date(0)]
  const { json, attachments } = detach(message, MAX)
  assert.equal(
    json,
    '["e",{"\\u0000b":0},{"deep":[{"__proto__":{"x":1},"n":null},{"\\u0000b":1}]},' +
      '"1970-01-01T00:00:00.000Z"]',
  )
  assert.equal(attachments.length, 2)
  assert.deepEqual(arriving(message), [
    'e',
    Buffer.from('one'),
    { deep: [value, Buffer.from([1, 0])] },
    '1970-01-01T00:00:00.000Z',
  ])
})

test('a binary member named __proto__ arrives as a member', () => {
  const value = Object.fromEntries([['__proto__', Buffer.from('a')]])
  const [, came] = arriving(['e', value])
  assert.equal(Object.getPrototypeOf(came), Object.prototype)
  assert.deepEqual(Object.getOwnPropertyDescriptor(came, '__proto__')?.value, Buffer.from('a'))
})

test('a view sends only its part of the memory', () => {
  const { attachments } = detach(['e', new Uint8Array([1, 2, 3, 4]).subarray(1, 3)], MAX)
  assert.deepEqual(
    attachments.map((bytes) => [...bytes]),
    [[2, 3]],
  )
})

test('placeholders without an attachment stay unchanged', () => {
  for (const index of ['length', 'map', -1, 1, 0.5, null, '0']) {
    const message = ['e', { '\0b': index }]
    assert.deepEqual(attach(message, [Buffer.from('a')]), ['e', { '\0b': index }])
  }
  const message = JSON.parse('["e",{"__proto__":{"\\u0000b":0}}]')
  assert.equal(Object.getPrototypeOf(attach(message, [Buffer.from('a')])[1]), Object.prototype)
})

/** `count` users and rooms; every user refers to all rooms, and every room to all users. */
function twoWay(count) {
  const users = Array.from({ length: count }, (_, n) => ({ name: `u${n}` }))
  const rooms = Array.from({ length: count }, (_, n) => ({ name: `r${n}`, users: [...users] }))
  for (const user of users) user.rooms = rooms
  return rooms
}

test('objects that refer to each other are visited once each', () => {
  let reads = 0
  const mesh = Array.from({ length: 300 }, () => ({
    get all() {
      reads++
      return mesh
    },
  }))
  assert.equal(needsWriting(mesh), false)
  assert.ok(reads <= 2000, `${reads} reads`)
  const shared = { text: 'x' }
  assert.equal(needsWriting(Array(10_000).fill(shared)), false)
  let chain = {}
  for (let depth = 0; depth < 100; depth++) chain = { left: chain, right: chain }
  assert.equal(needsWriting(chain), false)
})

test('an error of JSON.stringify keeps its message, even beside a Buffer', () => {
  const cycle = { name: 'c' }
  cycle.self = cycle
  for (const value of [cycle, twoWay(20), 1n]) {
    let own
    try {
      JSON.stringify(value)
    } catch (error) {
      own = error
    }
    const beside = { value, data: Buffer.from('a') }
    assert.throws(() => detach(['e', beside], MAX), { name: own.name })
    assert.throws(() => detach(['e', value, Buffer.from('b')], MAX), { message: own.message })
  }
})

test('writing stops once a message is too large or too deep', () => {
  let tree = { data: Buffer.from('leaf') }
  for (let depth = 0; depth < 100; depth++) tree = { left: tree, right: tree }
  assert.throws(() => detach(['e', tree], MAX), { code: 'ERR_SMOKE_TOO_LARGE' })
  let deep = Buffer.from('leaf')
  for (let depth = 0; depth < 999; depth++) deep = [deep]
  assert.equal(detach(['e', deep], MAX).attachments.length, 1)
  assert.throws(() => detach(['e', [deep]], MAX), { code: 'ERR_SMOKE_ARGUMENT' })
})

test('elements of Array.prototype are not sent', (t) => {
  const extras = { extra: Buffer.from('x'), toJSON: undefined }
  for (const [key, value] of Object.entries(extras)) {
    Array.prototype[key] = value
  }
  t.after(() => {
    for (const key of Object.keys(extras)) delete Array.prototype[key]
  })
  assert.equal(needsWriting([[1], { list: [2] }]), false)
  assert.deepEqual(arriving(['e', [1, Buffer.from('a')]]), ['e', [1, Buffer.from('a')]])
})
