'use strict'

const { EventEmitter } = require('node:events')
const { SmokeError, argumentError } = require('./errors')
const { nextTick, stringify } = require('./globals')

/** Separates the parts of a path given as a string. */
const DELIMITER = '::'
/** Matches any single part of a path in a listener. */
const WILDCARD = '*'

/**
 * The part of 0.x's nssocket that is kept: lines with a path chosen by the application, sent with
 * `send(path, data)` and received with `data(path, listener)`.
 */
class PeerSocket extends EventEmitter {
  #peer
  #link
  // [path, listener, isOnce], in order of addition.
  #listeners = []

  constructor(peer, link) {
    super()
    this.#peer = peer
    this.#link = link
    this.remoteAddress = peer.remoteAddress
    this.remotePort = peer.remotePort
    this.host = peer.remoteAddress
    this.port = peer.remotePort
  }

  get connected() {
    return !this.#peer.closed
  }

  /** Whether there are listeners for lines. */
  get isListening() {
    return this.#listeners.length > 0
  }

  /** Sends `data` under `path`. An array is appended part by part, as nssocket did. */
  send(path, data, callback) {
    const parts = readPath(path)
    if (typeof data === 'function') return this.send(path, undefined, data)
    const room = this.#link.send(stringify(parts.concat(data === undefined ? null : data)))
    if (typeof callback === 'function') {
      const error = this.connected ? undefined : new SmokeError('ERR_SMOKE_CLOSED')
      nextTick(callback, error)
    }
    return room
  }

  /** Calls `listener` with the data of every line under `path`; `*` stands for any part. */
  data(path, listener) {
    return this.#listen(path, listener, false)
  }

  /** Like `data`, but for one line only. */
  dataOnce(path, listener) {
    return this.#listen(path, listener, true)
  }

  /** Removes a listener. */
  undata(path, listener) {
    const parts = readPath(path)
    const index = this.#listeners.findIndex(
      (entry) => entry.listener === listener && isSame(entry.path, parts),
    )
    if (index >= 0) this.#remove(this.#listeners[index])
    return this
  }

  end() {
    this.#peer.close()
  }

  destroy() {
    this.#peer.close()
  }

  /** Delivers a received line: its path and, last, its data. */
  receive(line) {
    const data = line.pop()
    for (const entry of [...this.#listeners]) {
      if (!matches(entry.path, line)) continue
      if (entry.isOnce) this.#remove(entry)
      entry.listener.call(this, data)
    }
  }

  #listen(path, listener, isOnce) {
    if (typeof listener !== 'function') {
      throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', 'a listener must be a function')
    }
    this.#listeners.push({ path: readPath(path), listener, isOnce })
    this.#link.listen()
    return this
  }

  #remove(entry) {
    this.#listeners = this.#listeners.filter((other) => other !== entry)
    if (!this.isListening) this.#link.unlisten()
  }
}

function readPath(path) {
  const parts = typeof path === 'string' ? path.split(DELIMITER) : path
  if (
    !Array.isArray(parts) ||
    parts.length === 0 ||
    parts.some((part) => typeof part !== 'string')
  ) {
    const message = "a path must be an array of strings, or a string such as 'a::b'"
    throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', message)
  }
  return parts
}

function isSame(path, other) {
  return path.length === other.length && path.every((part, index) => part === other[index])
}

function matches(path, parts) {
  const fits = (part, index) => part === WILDCARD || part === parts[index]
  return path.length === parts.length && path.every(fits)
}

module.exports = { PeerSocket }
