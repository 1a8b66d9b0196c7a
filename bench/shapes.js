'use strict'

// The shapes of messages that `npm run bench -- --shapes` sends. Each is about 100 bytes of JSON
// unless its name says otherwise.

const PAD = 'x'.repeat(80)
const LARGE = Array.from({ length: 100 }, (_, id) => ({ id, user: 'somebody', text: PAD }))

/** Messages per tick: a producer that gives the event loop its turns. */
const BATCH = 256

/**
 * By name: `what` is shown; `names` are the events; `send(to, n)` sends message number `n` and
 * returns whether there is room for more. `bytes` stands for large messages, which are counted in
 * smaller numbers. `isDirect`: to each peer, not broadcast. `raw`: bytes that are no JSON.
 */
const SHAPES = {
  none: { what: 'no argument', send: (to) => to.emit('m') },
  number: { what: 'a number', send: (to, n) => to.emit('m', n) },
  string: { what: 'a string', send: (to) => to.emit('m', PAD) },
  object: { what: 'an object', send: (to, n) => to.emit('m', object(n)) },
  array: { what: 'an array', send: (to, n) => to.emit('m', [n, n + 1, n + 2, 'a', 'b', PAD]) },
  two: { what: 'two arguments', send: (to, n) => to.emit('m', n, PAD) },
  three: { what: 'three arguments', send: (to, n) => to.emit('m', n, '0', PAD) },
  six: {
    what: 'six arguments',
    send: (to, n) => to.emit('m', n, 'a', true, null, { k: n }, 'somebody'),
  },
  names: {
    what: 'two names in turn',
    names: ['a', 'b'],
    send: (to, n) => to.emit(n & 1 ? 'a' : 'b', object(n)),
  },
  single: { what: 'one object a tick', batch: 1, send: (to, n) => to.emit('m', object(n)) },
  large: { what: 'an object of 12 KiB', bytes: 12000, send: (to) => to.emit('m', LARGE) },
  direct: { what: 'an object, direct', isDirect: true, send: (to, n) => to.emit('m', object(n)) },
  buffer1k: bytes('a Buffer of 1 KiB', 2 ** 10),
  buffer64k: bytes('a Buffer of 64 KiB', 2 ** 16),
  buffer1m: bytes('a Buffer of 1 MiB', 2 ** 20),
  chunks: {
    what: 'stream chunks of 1 KiB',
    bytes: 2 ** 10,
    raw: 'stream',
    send: (to, _, chunk) => to.write(chunk),
  },
}

for (const [name, shape] of Object.entries(SHAPES)) {
  Object.assign(shape, { name, batch: shape.batch ?? BATCH, names: shape.names ?? ['m'] })
}

function object(n) {
  return { n, at: 123456789012, user: 'somebody', text: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }
}

function bytes(what, size) {
  const batch = Math.max(1, Math.min(BATCH, 2 ** 20 / size))
  return { what, bytes: size, batch, raw: 'frames', send: (to, _, buffer) => to.emit('m', buffer) }
}

/** Sends message number `n` of `shape` by `out`, an adapter's publisher. */
function sender(shape, out) {
  const buffer = Buffer.alloc(shape.bytes ?? 0, 7)
  const to = out.target?.(shape) ?? generic(shape, out)
  return (n) => shape.send(to, n, buffer)
}

/** What stands for a channel where there is none: one message is the event with its arguments. */
function generic({ raw }, out) {
  if (!raw) return { emit: (...message) => out.send(message) }
  return { emit: (_, bytes) => out.sendBytes(bytes), write: out.sendBytes }
}

module.exports = { BATCH, SHAPES, sender }
