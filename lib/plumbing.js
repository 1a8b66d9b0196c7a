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

const sourceOf = Function.prototype.toString
/** Source texts of the functions with which Node.js listens on a stream; filled on first use. */
let texts = null

/**
 * Whether `listener` belongs to Node.js's own stream code (`pipe`, `pipeline`, `finished`,
 * `readline`, …).
 *
 * Only its source text tells, and the source of an application's listener differs.
 */
function isPlumbing(listener) {
  if (typeof listener !== 'function') return false
  texts ??= probe()
  return texts.has(textOf(listener))
}

/** Passes a stream to each function that listens on streams and records the listeners. */
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
    // All bound functions have the same source text.
    if (!text.includes('[native code]')) found.add(text)
  }
  finished(new Probe(), noop)
  new PassThrough().pipe(new Probe())
  new Stream().pipe(new Probe())
  new Readable({ read() {} }).wrap(new Probe())
  pipeline(new PassThrough(), new Probe(), new PassThrough(), noop)
  pipeline(nothing, new Probe(), noop)
  // Loaded when it is needed: a node starts sooner without.
  require('node:readline').createInterface({ input: new Probe() })
  Readable.toWeb?.(new Probe())
  Writable.toWeb?.(new Probe())
  return found
}

/** The wrapper that `once` adds refers to the listener. */
function textOf(listener) {
  const { listener: original } = listener
  return Reflect.apply(sourceOf, typeof original === 'function' ? original : listener, [])
}

async function* nothing() {}

function noop() {}

module.exports = { isPlumbing }
