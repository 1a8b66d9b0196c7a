'use strict'

const { MAX_DEPTH, isDeep } = require('./depth')
const { SmokeError, tooDeep, tooLarge } = require('./errors')
const { setImmediate } = require('./globals')
const { CHUNKS, RICH, Run } = require('./run')

// The addon's results for a message; see src/binding/node.rs.
const PRESSED = 1
const OVERLOADED = 2
const CLOSED = 3
const TOO_LARGE = 4

/** A batch is sent at this many characters, even before the tick ends. */
const BATCH = 64 * 1024
/**
 * A sender is busy if its last tick ended with at least this many unsent characters. Its next tick
 * comes soon, so two ticks may share a batch. Each saved call into the addon saves a system call,
 * and receivers wake half as often (`npm run bench:crossing`).
 */
const BUSY = 2048
/** Once this much (characters and bytes) is held for an overloaded addon, sends fail. */
const MAX_HELD = 1024 * 1024

/**
 * Strings are written here on their way to the addon. That takes one pass over a string; the addon
 * would need two. It is in use only during a call, so all outboxes share it.
 */
const scratch = Buffer.allocUnsafeSlow(4 * BATCH)

// The kinds of messages; the names are those of the addon's methods.
const EVENTS = 'emit'
const LARGE_RICH = 'emitRich'
const LARGE_CHUNK = 'write'
const LINE = 'line'
const RUN = 'emitRun'

/**
 * The ordered queue of one channel's messages on their way to the addon. The first message of a
 * tick is sent at once. The others are batched until the end of the tick; each change of kind
 * starts a new batch. A busy sender batches all messages, over two ticks.
 */
class Outbox {
  #native
  #channel
  #maxSize
  #isOpen = false
  // The result of sends while closed, and the callback for the result false.
  #hasRoom = true
  #onRefused
  // A flush is scheduled for the end of the tick; until then, messages are batched.
  #isCollecting = false
  #isBusy = false
  // The batch has already waited for one more tick.
  #hasWaited = false
  // The batch of events, one per line; or else the run of other messages.
  #batch = ''
  #run = null
  #isPressed = false
  // Messages that the overloaded addon refused, oldest first.
  #held = []
  #heldSize = 0
  #isFinal = false
  // New messages are refused; accepted ones are still being sent.
  #isFinishing = false
  // Called once no messages are held.
  #onEmpty = undefined
  // The callback of a chunk that was accepted under backpressure.
  #chunkDone = undefined
  #endOfTick = () => {
    const wasBusy = this.#isBusy
    this.#isBusy = this.#batch.length + (this.#run?.size ?? 0) >= BUSY
    this.#hasWaited = wasBusy && this.#isBusy && !this.#hasWaited
    if (this.#hasWaited) {
      setImmediate(this.#endOfTick)
    } else {
      this.#isCollecting = false
      this.flush()
    }
  }

  constructor(native, channel, maxSize, onRefused = () => {}) {
    this.#onRefused = onRefused
    this.#native = native
    this.#channel = channel
    this.#maxSize = maxSize
  }

  open() {
    this.#isOpen = true
    this.#isPressed = false
  }

  /** Refuses new messages, and calls `done` once all accepted ones are sent. */
  finish(done) {
    this.flush()
    this.#isFinishing = this.#isOpen
    this.#isOpen = false
    this.#hasRoom = false
    if (this.#held.length === 0) done()
    else this.#onEmpty = done
  }

  /**
   * Flushes the batch and refuses new messages. With `isFinal`, the outbox never reopens, so an
   * unsent chunk is an error. Returns whether a waiting sender still needs 'drain'.
   */
  close(isFinal) {
    const isAwaited = this.#isPressed && (this.#isOpen || this.#isFinishing)
    if (this.#isOpen) this.flush()
    this.#isFinishing = false
    this.#isFinal ||= isFinal
    this.#isOpen = false
    this.#hasRoom = false
    const held = this.#held
    this.#held = []
    this.#heldSize = 0
    this.#releaseChunk()
    for (const { done } of held) done?.(this.#closed())
    this.#emptied()
    return isAwaited
  }

  /** Sends the event with the JSON text `text`. Returns whether there is room for more. */
  event(text) {
    const { length } = text
    // A UTF-16 unit takes at most three bytes of UTF-8.
    if (length * 3 > this.#maxSize) this.#checkSize(Buffer.byteLength(text))
    if (length > 2 * MAX_DEPTH) checkDepth(text)
    if (!this.#isOpen) return this.#refuse()
    if (this.#heldSize > MAX_HELD) throw new SmokeError('ERR_SMOKE_OVERLOADED')
    if (length >= BATCH) {
      this.flush()
      return this.#send(EVENTS, text, undefined, length)
    }
    if (!this.#collects()) return this.#send(EVENTS, text, undefined, length)
    if (this.#run !== null) this.flush()
    this.#batch = this.#batch === '' ? text : `${this.#batch}\n${text}`
    if (this.#batch.length >= BATCH) this.flush()
    return !this.#isPressed
  }

  /** Whether a message sent now goes to the addon at once. */
  get isClear() {
    return this.#isOpen && this.#held.length === 0
  }

  /** Whether there is room for more. */
  get hasRoom() {
    return !this.#isPressed
  }

  /** Sends checked events, one per line. Returns whether there is room for more. */
  events(text) {
    if (!this.#isOpen) return this.#refuse()
    this.flush()
    return this.#send(EVENTS, text, undefined, text.length)
  }

  /** Notes the outcome of a message sent past this outbox. Returns whether there is room. */
  passed(outcome) {
    return this.#passed(outcome, undefined)
  }

  /** Sends an event with attachments. Returns whether there is room for more. */
  rich(json, attachments) {
    let size = Buffer.byteLength(json) + 8
    for (const { byteLength } of attachments) size += byteLength + 4
    this.#checkSize(size)
    checkDepth(json)
    if (!this.#isOpen) return this.#refuse()
    if (this.#heldSize > MAX_HELD) throw new SmokeError('ERR_SMOKE_OVERLOADED')
    if (Run.takes(size) && this.#collects()) {
      this.#runFor(RICH, size).addRich(json, attachments)
      return !this.#isPressed
    }
    this.flush()
    return this.#send(LARGE_RICH, json, attachments, size)
  }

  /** Sends a line. Returns whether there is room for more. */
  line(text) {
    if (text.length * 3 > this.#maxSize) this.#checkSize(Buffer.byteLength(text))
    checkDepth(text)
    if (!this.#isOpen) return this.#refuse()
    if (this.#heldSize > MAX_HELD) throw new SmokeError('ERR_SMOKE_OVERLOADED')
    this.flush()
    return this.#send(LINE, text, undefined, text.length)
  }

  #refuse() {
    if (!this.#hasRoom) this.#onRefused()
    return this.#hasRoom
  }

  /** Sends a chunk of the stream. Calls `done` when there is room for the next one. */
  chunk(chunk, done) {
    if (!this.#isOpen) return done(this.#closed())
    if (chunk.length === 0) return done()
    const size = chunk.length + 4
    if (Run.takes(size) && this.#collects()) {
      this.#runFor(CHUNKS, size).addChunk(chunk)
      if (!this.#isPressed) return done()
      this.#chunkDone = done
      return
    }
    this.flush()
    this.#send(LARGE_CHUNK, chunk, undefined, chunk.length, done)
  }

  /** Whether to batch a message. The first of a tick is sent at once, unless the sender is busy. */
  #collects() {
    if (this.#isCollecting) return true
    this.#isCollecting = true
    setImmediate(this.#endOfTick)
    return this.#isBusy
  }

  /** The run for a message of this kind and size. */
  #runFor(kind, size) {
    if (this.#run?.kind !== kind || !this.#run.hasRoom(size)) {
      this.flush()
      this.#run = new Run(kind)
    }
    return this.#run
  }

  /** Sends the batch. */
  flush() {
    const [batch, run] = [this.#batch, this.#run]
    if (batch !== '') {
      this.#batch = ''
      this.#send(EVENTS, batch, undefined, batch.length)
    } else if (run !== null) {
      this.#run = null
      this.#send(RUN, run, undefined, run.size)
    }
  }

  /** The addon has room again: sends held messages. Returns whether room is left. */
  drained() {
    this.#isPressed = false
    while (this.#held.length > 0) {
      const { kind, data, attachments, size, done } = this.#held[0]
      const outcome = this.#pass(kind, data, attachments)
      if (outcome === OVERLOADED) return false
      this.#held.shift()
      this.#heldSize -= size
      this.#passed(outcome, done)
    }
    this.#emptied()
    if (this.#isPressed) return false
    this.#releaseChunk()
    return true
  }

  #send(kind, data, attachments, size, done) {
    if (this.#held.length === 0) {
      const outcome = this.#pass(kind, data, attachments)
      if (outcome !== OVERLOADED) return this.#passed(outcome, done)
    }
    // The application may reuse its buffers after the call.
    const copies = attachments?.map((attachment) => Buffer.from(attachment))
    this.#held.push({ kind, data, attachments: copies, size, done })
    this.#heldSize += size
    this.#isPressed = true
    return false
  }

  #pass(kind, data, attachments) {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    if (kind === EVENTS && data.length * 3 <= scratch.length) {
      return this.#native.emitBytes(this.#channel, scratch, scratch.write(data, 0))
    }
    if (kind === RUN) return this.#passRun(data)
    return attachments === undefined
      ? this.#native[kind](this.#channel, data)
      : this.#native[kind](this.#channel, data, attachments)
  }

  #passRun(run) {
    const { kind, count, bytes, size } = run
    const outcome = this.#native.emitRun(this.#channel, kind, count, bytes, size)
    if (outcome !== OVERLOADED) run.release()
    return outcome
  }

  #passed(outcome, done) {
    if (outcome === PRESSED) {
      this.#isPressed = true
      if (done !== undefined) this.#chunkDone = done
      return false
    }
    if (outcome === TOO_LARGE) throw tooLarge(this.#maxSize)
    done?.(outcome === CLOSED ? this.#closed() : undefined)
    return outcome !== CLOSED
  }

  #releaseChunk() {
    const done = this.#chunkDone
    this.#chunkDone = undefined
    done?.()
  }

  #emptied() {
    const done = this.#onEmpty
    this.#onEmpty = undefined
    done?.()
  }

  /** The outcome of a chunk while the outbox is closed: an error if it is final. */
  #closed() {
    return this.#isFinal ? new SmokeError('ERR_SMOKE_CLOSED') : undefined
  }

  #checkSize(size) {
    if (size > this.#maxSize) throw tooLarge(this.#maxSize)
  }
}

function checkDepth(json) {
  if (isDeep(json)) throw tooDeep(MAX_DEPTH)
}

module.exports = { Outbox }
