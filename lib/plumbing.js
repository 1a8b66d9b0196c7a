'use strict'

const {
  Duplex,
  PassThrough,
  Readable,
  Stream,
  Writable,
  finished,
  pipeline,
} = require('node:stream')
const readline = require('node:readline')

const sourceOf = Function.prototype.toString
/** The texts of the functions with which Node.js listens on a stream; found when first needed. */
let texts = null

/**
 * Whether `listener` is one with which Node.js's own stream code (`pipe`, `pipeline`, `finished`,
 * `readline`, …) listens on a stream that it was given.
 *
 * It is told by its source text: nothing else of it is visible, and an application's differs.
 */
function isPlumbing(listener) {
  if (typeof listener !== 'function') return false
  texts ??= probe()
  return texts.has(textOf(listener))
}

/** Gives a stream to whatever listens on streams, and keeps what it listens with. */
function probe() {
  const found = new Set()
  class Probe extends Duplex {
    on(event, listener) {
      keep(listener)
      return super.on(event, listener)
    }

    prependListener(event, listener) {
      keep(listener)
      return super.prependListener(event, listener)
    }

    _read() {}

    _write(_chunk, _encoding, done) {
      done()
    }
  }
  const keep = (listener) => {
    const text = textOf(listener)
    // All bound functions look alike.
    if (!text.includes('[native code]')) found.add(text)
  }
  finished(new Probe(), noop)
  new PassThrough().pipe(new Probe())
  new Stream().pipe(new Probe())
  new Readable({ read() {} }).wrap(new Probe())
  pipeline(new PassThrough(), new Probe(), new PassThrough(), noop)
  pipeline(nothing, new Probe(), noop)
  readline.createInterface({ input: new Probe() })
  Readable.toWeb?.(new Probe())
  Writable.toWeb?.(new Probe())
  return found
}

/** What `once` listens with carries the listener. */
function textOf(listener) {
  const { listener: original } = listener
  return Reflect.apply(sourceOf, typeof original === 'function' ? original : listener, [])
}

async function* nothing() {}

function noop() {}

module.exports = { isPlumbing }
