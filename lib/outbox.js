'use strict'

const { MAX_DEPTH, isDeep } = require('./depth')
const { SmokeError, tooDeep, tooLarge } = require('./errors')
const { setImmediate } = require('./globals')
const { CHUNKS, RICH, Run } = require('./run')

// What the addon says became of a message; see src/binding/node.rs.
const PRESSED = 1
const OVERLOADED = 2
const CLOSED = 3
const TOO_LARGE = 4

/** A batch goes out when it has this many characters, even before the tick ends. */
const BATCH = 64 * 1024
/**
 * A sender whose last tick left at least this many characters to its end is a busy one. Its next tick
 * comes soon, so all of an event's tick and the one after may be joined: each call into the addon that
 * is saved is a system call saved, and receivers are woken half as often (`npm run bench:crossing`).
 */
const BUSY = 2048
/** Once this much (characters and bytes) is held for an overloaded addon, nothing more is taken. */
const MAX_HELD = 1024 * 1024

/**
 * What crosses is written here first: that takes one pass over a string, where handing the string
 * itself to the addon takes two. It is in use only during a call, so all share it.
 */
const scratch = Buffer.allocUnsafeSlow(4 * BATCH)

// What can be sent; the names are those of the addon's methods.
const EVENTS = 'emit'
const LARGE_RICH = 'emitRich'
const LARGE_CHUNK = 'write'
const LINE = 'line'
const RUN = 'emitRun'

/**
 * What one channel sends, on its way to the addon, in order.
 *
 * The first message of a tick goes at once; the others of the tick are joined and go as one, or as a
 * few where kinds alternate. A busy sender's all go as one, two ticks' at a time.
 */
class Outbox {
  #native
  #channel
  #maxSize
  #isOpen = false
  // What sending comes to while not open, and who is told of it when it is false.
  #hasRoom = true
  #onRefused
  // A flush is due at the end of the tick; until then messages are collected.
  #isCollecting = false
  #isBusy = false
  // The batch has seen the end of a tick already.
  #hasWaited = false
  // The events, one a line; or else the run of other messages.
  #batch = ''
  #run = null
  #isPressed = false
  // What the addon was too loaded to take, oldest first.
  #held = []
  #heldSize = 0
  #isFinal = false
  // Nothing more is taken, and what was is on its way out.
  #isFinishing = false
  // What is called once nothing is held any more.
  #onEmpty = undefined
  // The callback of a chunk that was taken under pressure.
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

  /** Sends what was collected in this tick and nothing afterwards; `done` is called when that is out. */
  finish(done) {
    this.flush()
    this.#isFinishing = this.#isOpen
    this.#isOpen = false
    this.#hasRoom = false
    if (this.#held.length === 0) done()
    else this.#onEmpty = done
  }

  /**
   * Sends what was collected in this tick, and nothing afterwards. `isFinal`: never again, so that a
   * chunk that has not left is an error. Returns whether 'drain' is due to those who were told to wait.
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

  /** Sends the event with the JSON text `text`; returns whether there is room for more. */
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

  /** Whether what is sent now goes to the addon now. */
  get isClear() {
    return this.#isOpen && this.#held.length === 0
  }

  /** Whether there is room for more. */
  get hasRoom() {
    return !this.#isPressed
  }

  /** Sends events that were checked, one a line; returns whether there is room for more. */
  events(text) {
    if (!this.#isOpen) return this.#refuse()
    this.flush()
    return this.#send(EVENTS, text, undefined, text.length)
  }

  /** What became of something that was sent past this; returns whether there is room for more. */
  passed(outcome) {
    return this.#passed(outcome, undefined)
  }

  /** Sends an event with attachments; returns whether there is room for more. */
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

  /** Sends a line; returns whether there is room for more. */
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

  /** Sends a chunk of the stream; `done` is called when the next one may come. */
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

  /** Whether messages wait for the end of the tick: the first does not, unless the sender is busy. */
  #collects() {
    if (this.#isCollecting) return true
    this.#isCollecting = true
    setImmediate(this.#endOfTick)
    return this.#isBusy
  }

  /** The run that a message of this kind and size joins. */
  #runFor(kind, size) {
    if (this.#run?.kind !== kind || !this.#run.hasRoom(size)) {
      this.flush()
      this.#run = new Run(kind)
    }
    return this.#run
  }

  /** Sends what was collected in this tick. */
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

  /** The addon has room again; returns whether some is left once it has got what was held. */
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
    // The application may reuse its buffers as soon as we return.
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

  /** What becomes of a chunk while nothing is sent: an error, if that is so for good. */
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
