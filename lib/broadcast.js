'use strict'

const { Channel } = require('./channel')
const { REQUEST } = require('./requests')
const { takeRequests, widen } = require('./symbols')
const { Acknowledged } = require('./target')

/** The channel to every other node of the network. A node does not hear its own broadcasts. */
class Broadcast extends Channel {
  #ask
  #asked
  #ownEvents

  /**
   * `ask(name, args, settings)` asks all nodes; `asked(payload)` is called for requests of others.
   */
  constructor(node, crossing, handle, { maxMessageSize, onLost, ask, asked }) {
    // Each half closes alone: the end of our input must not end the output of others.
    const ownEvents = new Map()
    const settings = { maxMessageSize, allowHalfOpen: true, ownEvents, onLost }
    super(crossing, handle, settings)
    this.node = node
    this.#ask = ask
    this.#asked = asked
    this.#ownEvents = ownEvents
  }

  /** Whether the stream is closed. */
  get closed() {
    return this.stream.closed
  }

  /**
   * Takes requests, or not. Relays without a handler must not wake up for the requests of others.
   */
  [takeRequests](isHandling) {
    if (this.#ownEvents.has(REQUEST) === isHandling) return
    if (isHandling) this.#ownEvents.set(REQUEST, this.#asked)
    else this.#ownEvents.delete(REQUEST)
    this[widen]()
  }

  /** Asks all other nodes. Resolves to their replies; see index.d.ts. */
  emitWithAck(name, ...args) {
    return new Acknowledged(this.#ask).emitWithAck(name, ...args)
  }

  timeout(ms) {
    return new Acknowledged(this.#ask).timeout(ms)
  }

  signal(signal) {
    return new Acknowledged(this.#ask).signal(signal)
  }
}

module.exports = { Broadcast }
