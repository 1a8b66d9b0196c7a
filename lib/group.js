'use strict'

const { MAX_DEPTH, isDeep } = require('./depth')
const { tooDeep, tooLarge } = require('./errors')
const { setImmediate } = require('./globals')

/** A batch goes out when it has this many characters, even before the tick ends. */
const BATCH = 64 * 1024

/**
 * The route to several members: one copy on each link while their paths are the same.
 *
 * The first message of a tick is sent at once, the others as one batch. Messages to single members
 * keep their order: messages that wait elsewhere for a member are sent first.
 */
class Group {
  #native
  #routes
  #handles
  #maxSize
  #batch = ''
  #isCollecting = false

  constructor(native, routes, maxSize) {
    this.#native = native
    this.#routes = routes
    this.#handles = Uint32Array.from(routes, ({ handle }) => handle)
    this.#maxSize = maxSize
  }

  /** Whether the group has exactly these routes. */
  leadsTo(routes) {
    const own = this.#routes
    return own.length === routes.length && own.every((route, index) => route === routes[index])
  }

  /** Sends the output of `write`. Returns the routes without room. */
  send({ json, attachments }) {
    this.#check(json, attachments)
    if (attachments.length > 0 || json.length >= BATCH) {
      this.flush()
      return this.#pass(json, attachments)
    }
    if (!this.#isCollecting) {
      this.#isCollecting = true
      setImmediate(() => {
        this.#isCollecting = false
        this.flush()
      })
      return this.#pass(json, attachments)
    }
    for (const route of this.#routes) route.waitsFor(this)
    this.#batch = this.#batch === '' ? json : `${this.#batch}\n${json}`
    if (this.#batch.length >= BATCH) this.flush()
    return this.#routes.filter((route) => !route.hasRoom)
  }

  /** Sends the batch of this tick. */
  flush() {
    const batch = this.#batch
    this.#batch = ''
    if (batch !== '') this.#pass(batch, [])
  }

  #pass(text, attachments) {
    for (const route of this.#routes) route.waitsFor(null)
    const outcomes = this.#routes.every((route) => route.isClear)
      ? this.#emit(text, attachments)
      : []
    if (outcomes.length > 0) {
      return this.#routes.filter((route, index) => !route.passed(outcomes[index]))
    }
    // One route has no room, so each route queues its own copy.
    return this.#routes.filter((route) => !route.pass(text, attachments))
  }

  #emit(text, attachments) {
    if (attachments.length === 0) return this.#native.emitTo(this.#handles, text)
    return this.#native.emitTo(this.#handles, text, attachments)
  }

  #check(json, attachments) {
    let size = Buffer.byteLength(json)
    for (const { byteLength } of attachments) size += byteLength + 4
    if (attachments.length > 0) size += 8
    if (size > this.#maxSize) throw tooLarge(this.#maxSize)
    if (isDeep(json)) throw tooDeep(MAX_DEPTH)
  }
}

module.exports = { Group }
