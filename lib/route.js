'use strict'

const { detach, attach, needsWriting } = require('./attachments')
const { MAX_DEPTH, isDeep } = require('./depth')
const { SmokeError, tooDeep, tooLarge } = require('./errors')
const { parse, setImmediate, stringify } = require('./globals')
const { Outbox } = require('./outbox')
const symbols = require('./symbols')

/** Limits of a node's messages to itself, in bytes: senders wait, or sends fail. */
const MUCH_OWN = 1024 * 1024
const MAX_OWN = 8 * MUCH_OWN

/** The text of a message and its attachments. */
function write(message, maxSize) {
  if (!message.some(needsWriting)) return { json: stringify(message), attachments: [] }
  return detach(message, maxSize)
}

/** The route to one member, and from it. */
class Route {
  member
  /** The sender information that listeners get. */
  context
  handle
  #crossing
  #maxMessageSize
  #onReceived
  #outbox = null
  // The group that has batched messages for this member.
  #group = null
  // Targets that were told to wait.
  #waiting = new Set()

  /** `onReceived(route, event, args)` is called with received events. */
  constructor(handle, member, { crossing, maxMessageSize, isClosed, onReceived }) {
    this.handle = handle
    this.member = member
    this.context = Object.freeze({ from: member.id, authenticated: isClosed })
    this.#crossing = crossing
    this.#maxMessageSize = maxMessageSize
    this.#onReceived = onReceived
    crossing.attach(handle, this)
  }

  /** Sends the output of `write`. Returns whether there is room for more. */
  send({ json, attachments }) {
    if (this.#group !== null) this.waitsFor(null)
    const outbox = this.#open()
    return attachments.length > 0 ? outbox.rich(json, attachments) : outbox.event(json)
  }

  /** Flushes all waiting messages for this member. From now on, `group` has some waiting. */
  waitsFor(group) {
    if (this.#group === group && group !== null) return
    const before = this.#group
    this.#group = null
    before?.flush()
    this.#open().flush()
    this.#group = group
  }

  /** Whether a message sent now goes to the addon at once. */
  get isClear() {
    return this.#open().isClear
  }

  get hasRoom() {
    return this.#open().hasRoom
  }

  /** Notes the outcome of a message to several members. Returns whether there is room for more. */
  passed(outcome) {
    return this.#open().passed(outcome)
  }

  /** Sends checked events, one per line, or one with attachments. Returns whether there is room. */
  pass(text, attachments) {
    const outbox = this.#open()
    return attachments.length > 0 ? outbox.rich(text, attachments) : outbox.events(text)
  }

  /** Tells `target` when there is room. */
  await(target) {
    this.#waiting.add(target)
  }

  #open() {
    if (this.#outbox === null) {
      this.#outbox = new Outbox(this.#crossing.native, this.handle, this.#maxMessageSize)
      this.#outbox.open()
    }
    return this.#outbox
  }

  #tell() {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const target of waiting) target[symbols.drained](this)
  }

  [symbols.finish](done) {
    if (this.#group !== null) this.waitsFor(null)
    if (this.#outbox === null) done()
    else this.#outbox.finish(done)
  }

  /** Stops sending to this member. */
  [symbols.close]() {
    if (this.#group !== null) this.waitsFor(null)
    this.#outbox?.close(true)
    this.#crossing.detach(this.handle)
    this.#tell()
  }

  [symbols.drained]() {
    if (this.#outbox?.drained()) this.#tell()
  }

  [symbols.receive](event, ...args) {
    this.#onReceived(this, event, args)
  }

  // All members share one filter, and members send neither chunks nor lines.
  [symbols.setFilter]() {}
  [symbols.receiveChunk]() {}
  [symbols.receiveLine]() {}
}

/** The route of a node to itself. Listeners cannot tell it from other routes. */
class Loop {
  member
  context
  #crossing
  #maxMessageSize
  #onReceived
  #waiting = new Set()
  #size = 0
  #isClosed = false

  constructor(member, { crossing, maxMessageSize, onReceived }) {
    this.member = member
    // A message of a node to itself cannot come from another.
    this.context = Object.freeze({ from: member.id, authenticated: true })
    this.#crossing = crossing
    this.#maxMessageSize = maxMessageSize
    this.#onReceived = onReceived
  }

  send({ json, attachments }) {
    let size = Buffer.byteLength(json)
    for (const { byteLength } of attachments) size += byteLength
    if (size > this.#maxMessageSize) throw tooLarge(this.#maxMessageSize)
    if (isDeep(json)) throw tooDeep(MAX_DEPTH)
    if (this.#size > MAX_OWN) throw new SmokeError('ERR_SMOKE_OVERLOADED')
    const copies = attachments.map((attachment) => Buffer.from(attachment))
    this.#size += size
    setImmediate(() => this.#arrive(json, copies, size))
    return this.#size < MUCH_OWN
  }

  await(target) {
    this.#waiting.add(target)
  }

  #arrive(text, attachments, size) {
    this.#size -= size
    if (this.#isClosed) return
    const parsed = parse(text)
    const [event, ...args] = attachments.length > 0 ? attach(parsed, attachments) : parsed
    this.#crossing.run(() => {
      try {
        this.#onReceived(this, event, args)
      } finally {
        if (this.#size === 0) this.#tell()
      }
    })
  }

  #tell() {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const target of waiting) target[symbols.drained](this)
  }

  [symbols.finish](done) {
    done()
  }

  [symbols.close]() {
    this.#isClosed = true
    this.#tell()
  }
}

module.exports = { Loop, Route, write }
