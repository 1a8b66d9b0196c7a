'use strict'

/** Numbers from 0 to 1, the same for the same seed. */
function seeded(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

class Point {
  x = 1
  #hidden = 2
  get sum() {
    return this.x + this.#hidden
  }
}

// Not '\\' alone: Node.js 24 then parses the key '\ud800' as '\\'.
const KEYS = [
  ...[
    'a',
    'b',
    'toString',
    'constructor',
    '__proto__',
    '',
    '0',
    '17',
    '"quoted"',
    'a\\b',
    'é\u2028',
  ],
  ...['\0', '\0b', '\0bb', '\0c', '\ud800', 'length', 'type', 'data', 'toJSON'],
]

/** Leaves, including odd ones. */
const LEAVES = [
  ...[() => null, () => undefined, () => true, () => false, () => 0, () => -0, () => 1.5e300],
  ...[() => NaN, () => -Infinity, () => 'text', () => '', () => '\ud800 "\\\n', () => '\0b'],
  ...[() => Symbol('s'), () => () => 1, () => Object(Symbol('s'))],
  ...[() => Object(1), () => Object('boxed'), () => Object(false), () => new Date(0)],
  ...[() => new Date(NaN), () => /x/g, () => new Map([[1, 2]]), () => new Set([1])],
  ...[() => new Point(), () => new Error('boo'), () => Object.create({ inherited: 1 })],
  () => Object.assign(() => 1, { toJSON: () => 'a function' }),
  () => Object.assign(Object(1), { extra: 1 }),
  () => Object.assign(Object.create(null), { bare: 1 }),
  () => new URL('http://127.0.0.1/'),
  () => Object.assign(Array(3), { 1: 1 }),
  () => new Proxy([1, { a: 2 }], {}),
]
const BINARY = [
  ...[() => Buffer.from('bytes'), () => Buffer.alloc(0), () => new Uint16Array([1, 2])],
  ...[() => new ArrayBuffer(3), () => new SharedArrayBuffer(2), () => new Float64Array([1.5])],
  () => new DataView(new ArrayBuffer(4), 1, 2),
  () => new Uint8Array([1, 2, 3, 4]).subarray(1, 3),
]

/** A random value that JSON accepts, with or without binary data. */
function randomValue(random, depth = 0) {
  const pick = (list) => list[Math.floor(random() * list.length)]
  const roll = random()
  if (depth > 4 || roll < 0.3) return pick(LEAVES)()
  if (roll < 0.42) return pick(BINARY)()
  const inner = () => randomValue(random, depth + 1)
  const count = Math.floor(random() * 5)
  if (roll < 0.6) return Array.from({ length: count }, inner)
  if (roll < 0.7) {
    const value = inner()
    return { a: 1, toJSON: () => value }
  }
  if (roll < 0.75) {
    const shared = inner()
    return [shared, { again: shared }]
  }
  return Object.fromEntries(Array.from({ length: count }, () => [pick(KEYS), inner()]))
}

module.exports = { randomValue, seeded }
