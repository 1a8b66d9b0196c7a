'use strict'

const { EventEmitter, captureRejectionSymbol, errorMonitor } = require('node:events')
const { detach, needsWriting } = require('./attachments')
const { Readable, Stream } = require('node:stream')
const { ChannelStream } = require('./channel-stream')
const { argumentError } = require('./errors')
const { setImmediate, stringify } = require('./globals')
const { leadOf, leads } = require('./leads')
const { Outbox } = require('./outbox')
const { isPlumbing } = require('./plumbing')
const symbols = require('./symbols')

const WANTS_CHUNKS = 1
const WANTS_LINES = 2

/** The stream's events that the channel emits to its own listeners. */
const STREAM_EVENTS = [
  ...['data', 'readable', 'end', 'close', 'error'],
  ...['drain', 'finish', 'pause', 'resume'],
]
/** The events that Node's stream code listens for on a given stream. */
const PLUMBING_EVENTS = new Set([...STREAM_EVENTS, 'pipe', 'unpipe', 'prefinish'])

const emitLocally = EventEmitter.prototype.emit

/**
 * Sends to other nodes: `emit` is remote, `on` is local. It also has a byte stream.
 *
 * The stream is a separate object, `stream`. The channel has its methods and properties, too, so
 * that it can be piped and passed to `stream.pipeline`.
 */
class Channel extends Stream {
  #crossing
  #handle
  #maxMessageSize
  #outbox
  #stream = null
  // Streams that are still read after their writing side has ended.
  #halves = new Set()
  // Our listeners on the stream, by event. Each represents the channel's own listeners.
  #forwarders = new Map()
  // The addon's current filter: the names (null = all) and the flags.
  #names = null
  #flags = WANTS_CHUNKS | WANTS_LINES
  // Names still in the addon's filter, although they have no listener any more.
  #gone = new Set()
  // EventEmitter is adding or removing a listener, and may call `this.emit` about it.
  #isRegistering = false

  #forwarded
  #allowHalfOpen
  // Functions that handle other nodes' events without a listener, by event.
  #ownEvents
  #onLost
  // Streams whose chunks wait for a reader.
  #holders = new Set()
  #isClosed = false
  // A sender was told to wait while the channel is closed, so it is owed a 'drain'.
  #isWaitedFor = false

  /**
   * `localEvents`: events of the stream that the channel emits itself. `ownEvents`: functions that
   * are called with other nodes' events of these names.
   */
  constructor(crossing, handle, options) {
    const {
      maxMessageSize,
      allowHalfOpen,
      onLost,
      localEvents = [],
      ownEvents = new Map(),
    } = options
    super()
    this.#crossing = crossing
    this.#handle = handle
    this.#maxMessageSize = maxMessageSize
    this.#allowHalfOpen = allowHalfOpen
    this.#onLost = onLost
    this.#ownEvents = ownEvents
    this.#forwarded = new Set(STREAM_EVENTS.filter((event) => !localEvents.includes(event)))
    this.#outbox = new Outbox(crossing.native, handle, maxMessageSize, () => this.#onRefused())
  }

  /**
   * Sends an event to the other side. Returns false when the application should wait for 'drain'
   * before it sends more, or when the channel is closed.
   */
  emit(...message) {
    const texts = leads.get(message[0])
    return texts === undefined ? this.#emitNew(message) : this.#emitPlain(texts, message)
  }

  /** Sends an event whose name was sent before and has no meaning to a channel. */
  #emitPlain({ lead, alone }, message) {
    for (let index = 1; index < message.length; index++) {
      if (needsWriting(message[index])) return this.#emitWritten(message)
    }
    // V8 writes one argument faster than an array of it and the name.
    if (message.length === 2) {
      return this.#outbox.event(`${lead}${stringify(message[1]) ?? 'null'}]`)
    }
    if (message.length === 1) return this.#outbox.event(alone)
    return typeof message.toJSON === 'function'
      ? this.#emitWritten(message)
      : this.#outbox.event(stringify(message))
  }

  #emitNew(message) {
    const [event] = message
    if (typeof event !== 'string') return this.#emitOddly(message)
    if (this.#isRegistering && (event === 'newListener' || event === 'removeListener')) {
      return emitLocally.apply(this, message)
    }
    if ((event === 'pipe' || event === 'unpipe') && isStream(message[1])) {
      this.stream.emit(...message)
      return emitLocally.apply(this, message)
    }
    // Readable#pipe forwards an error that the stream has already reported.
    if (event === 'error' && message[1] instanceof Error && message[1] === this.#stream?.errored) {
      return this.#stream.emit('error', message[1])
    }
    return this.#emitPlain(leadOf(event), message)
  }

  #emitWritten(message) {
    const { json, attachments } = detach(message, this.#maxMessageSize)
    return attachments.length > 0 ? this.#outbox.rich(json, attachments) : this.#outbox.event(json)
  }

  on(event, listener) {
    return this.#addListener(super.on, event, listener)
  }

  addListener(event, listener) {
    return this.#addListener(super.on, event, listener)
  }

  prependListener(event, listener) {
    return this.#addListener(super.prependListener, event, listener)
  }

  removeListener(event, listener) {
    this.#register(super.removeListener, event, listener)
    if (PLUMBING_EVENTS.has(event)) {
      for (const stream of this.#streams()) stream.removeListener(event, listener)
    }
    this.#listenerRemoved(event)
    return this
  }

  off(event, listener) {
    return this.removeListener(event, listener)
  }

  removeAllListeners(...events) {
    this.#register(super.removeAllListeners, ...events)
    for (const event of events.length > 0 ? events : this.#forwarders.keys()) {
      this.#listenerRemoved(event)
    }
    this.#names = null
    this.#crossing.narrow(this.#handle)
    return this
  }

  /** The channel's byte stream. */
  get stream() {
    this.#stream ??= this.#createStream()
    return this.#stream
  }

  /** Starts sending messages. */
  [symbols.open]() {
    // The addon forgets its filters when the node starts.
    this.#names = null
    this.#outbox.open()
    if (this.#isWaitedFor) this.#drainSoon()
  }

  /** Calls `done` when everything written or emitted so far is sent. */
  [symbols.finish](done) {
    const stream = this.#stream
    const finish = () => this.#outbox.finish(done)
    if (stream === null || stream.destroyed || stream.writableLength === 0) finish()
    else if (stream.writableEnded) stream.once('finish', finish)
    else stream.write('', finish)
  }

  /**
   * Stops sending messages. With `isFinal`, it never restarts, and the stream ends. Returns
   * functions to call afterwards.
   */
  [symbols.close](isFinal) {
    // A final close ends the stream, which then emits no 'drain' itself.
    const needsDrain = isFinal && this.#stream?.writableNeedDrain === true
    const isAwaited = this.#outbox.close(isFinal) || needsDrain
    if (isFinal) {
      this.#isClosed = true
      for (const stream of this.#streams()) stream.finish()
    }
    return isAwaited ? [() => emitLocally.call(this, 'drain')] : []
  }

  /** The channel's stream was destroyed. The channel lives on with a new one. */
  [symbols.streamClosed]() {
    this.#replaceStream()
  }

  /** With `events.captureRejections`, Node.js would send a listener's failure to the other side. */
  [captureRejectionSymbol](error) {
    Promise.reject(error)
  }

  /** Sends the batch of this tick. */
  [symbols.flush]() {
    this.#outbox.flush()
  }

  /** The addon has room for more messages. */
  [symbols.drained]() {
    if (this.#outbox.drained()) emitLocally.call(this, 'drain')
  }

  [symbols.sendLine](text) {
    return this.#outbox.line(text)
  }

  /** An event arrived. */
  [symbols.receive](event, ...args) {
    if (event.charCodeAt(0) === 0 && this.#ownEvents.has(event)) {
      return this.#ownEvents.get(event)(...args)
    }
    const isUnheard = event === 'error' && this.listenerCount('error') === 0
    emitLocally.call(this, isUnheard ? errorMonitor : event, ...args)
  }

  /** A chunk of the stream arrived. */
  [symbols.receiveChunk](chunk) {
    this.#stream?.receive(chunk)
    if (this.#halves.size > 0) for (const stream of this.#halves) stream.receive(chunk)
  }

  /**
   * Chunks of the stream were lost: `bytes` of them, if known. Returns whether the stream has told
   * its reader.
   */
  [symbols.lose](what, reason, bytes) {
    const told = this.#streams().map((stream) => stream.lose(what, reason, bytes))
    return told.includes(true)
  }

  /** Sets the addon's filter to the current listeners. `wantsLines`: raw lines, too. */
  [symbols.setFilter](native, wantsLines = false) {
    const isRead = this.#streams().some((stream) => stream.isRead)
    const flags = (isRead ? WANTS_CHUNKS : 0) | (wantsLines ? WANTS_LINES : 0)
    if (this.#names !== null && flags === this.#flags) {
      if (this.#gone.size > 0) native.unlisten(this.#handle, [...this.#gone])
    } else {
      const names = [...this.#ownEvents.keys(), ...this.eventNames().map(nameOf)]
      this.#names = new Set(names.filter((name) => name !== undefined))
      this.#flags = flags
      native.setFilter(this.#handle, [...this.#names], flags)
    }
    this.#gone.clear()
  }

  /** Lets everything in until the filter is set again. */
  [symbols.widen]() {
    this.#names = null
    this.#flags = WANTS_CHUNKS | WANTS_LINES
    this.#crossing.widen(this.#handle)
  }

  /** Calls a method of the streams that are only read. */
  [symbols.halves](name, args) {
    for (const stream of this.#halves) stream[name](...args)
  }

  /** A message was refused, because the channel is closed for good or until a restart. */
  #onRefused() {
    if (this.#isClosed && !this.#isWaitedFor) this.#drainSoon()
    this.#isWaitedFor = true
  }

  #drainSoon() {
    const drain = () => {
      this.#isWaitedFor = false
      this.#crossing.run(() => emitLocally.call(this, 'drain'))
    }
    // An endless sender must not keep the process alive.
    setImmediate(drain).unref()
  }

  /** Chunks wait for the reader of a stream. */
  #hold(stream) {
    if (this.#holders.size === 0) this.#crossing.native.hold(this.#handle)
    this.#holders.add(stream)
  }

  /** A reader took bytes; the slowest reader counts. `bytes` is null when it took all. */
  #read(stream, bytes) {
    if (bytes === null) this.#holders.delete(stream)
    const isLast = this.#holders.size === 0
    if (bytes === null ? isLast : this.#holders.size === 1) {
      this.#crossing.native.read(this.#handle, bytes)
    }
  }

  #createStream() {
    const stream = new ChannelStream({
      outbox: this.#outbox,
      maxMessageSize: this.#maxMessageSize,
      allowHalfOpen: this.#allowHalfOpen,
      onReaders: (isRead) => {
        if (isRead) {
          if (stream !== this.#stream && !stream.destroyed) this.#halves.add(stream)
          if (!(this.#flags & WANTS_CHUNKS)) this[symbols.widen]()
        } else {
          this.#halves.delete(stream)
          this.#crossing.narrow(this.#handle)
        }
      },
      onLost: this.#onLost,
      pace: {
        hold: () => this.#hold(stream),
        read: (bytes) => this.#read(stream, bytes),
      },
    })
    // A failing pipeline destroys its streams.
    stream.once('close', () => {
      this.#halves.delete(stream)
      setImmediate(() => {
        if (!this.#isClosed && stream === this.#stream) this[symbols.streamClosed]()
      })
    })
    if (this.#isClosed) stream.finish()
    return stream
  }

  /** Replaces the stream. The channel's listeners and settings move to the new one. */
  #replaceStream() {
    const old = this.#stream
    const events = [...this.#forwarders]
    this.#forwarders.clear()
    for (const [event, forwarder] of events) old.removeListener(event, forwarder)
    this.#stream = this.#createStream()
    if (old.readableEncoding !== null) this.#stream.setEncoding(old.readableEncoding)
    for (const [event] of events) this.#forward(event)
    this.#crossing.narrow(this.#handle)
    return old
  }

  /**
   * Once a stream has ended and all of it is sent, the next source is piped into a new one. Readers
   * of the old stream stay with it.
   */
  #renewStream() {
    const stream = this.#stream
    if (!stream?.writableFinished || stream.destroyed || this.#isClosed) return
    const wasPaused = stream.isPaused()
    this.#replaceStream()
    if (wasPaused) this.#stream.pause()
    if (stream.isRead) this.#halves.add(stream)
  }

  /** The current stream, if there is one, and the streams that are only read. */
  #streams() {
    return this.#stream === null ? [] : [this.#stream, ...this.#halves]
  }

  /** Forwards the stream's `event` to the channel's own listeners. */
  #forward(event) {
    if (this.#forwarders.has(event)) return
    const forwarder = (...args) => emitLocally.call(this, event, ...args)
    this.#forwarders.set(event, forwarder)
    this.stream.on(event, forwarder)
  }

  #addListener(add, event, listener) {
    // Plumbing must listen on the stream. Here, any node could unplug it with an event named
    // 'close' or 'error'.
    if (PLUMBING_EVENTS.has(event) && isPlumbing(listener)) {
      // A source that is piped here starts with one of these listeners.
      if (event === 'unpipe' || event === 'drain') this.#renewStream()
      const method = add === super.prependListener ? 'prependListener' : 'on'
      this.stream[method](event, listener)
      return this
    }
    this.#register(add, event, listener)
    if (this.#forwarded.has(event)) this.#forward(event)
    const name = nameOf(event)
    if (name !== undefined && this.#names?.has(name) === false) this.#listenFor(name)
    return this
  }

  /** Adds one name to the addon's filter. The cost does not depend on their number. */
  #listenFor(name) {
    this.#names.add(name)
    if (!this.#gone.delete(name)) this.#crossing.listen(this.#handle, name)
  }

  #listenerRemoved(event) {
    if (this.listenerCount(event) > 0) return
    const forwarder = this.#forwarders.get(event)
    if (forwarder !== undefined) {
      this.#forwarders.delete(event)
      this.#stream.removeListener(event, forwarder)
    }
    const name = nameOf(event)
    const isHeard =
      name === 'error' && this.listenerCount('error') + this.listenerCount(errorMonitor) > 0
    if (!isHeard && this.#names?.delete(name)) this.#gone.add(name)
    this.#crossing.narrow(this.#handle)
  }

  /** Calls a method of EventEmitter that may emit 'newListener' or 'removeListener'. */
  #register(method, ...args) {
    const wasRegistering = this.#isRegistering
    this.#isRegistering = true
    try {
      method.apply(this, args)
    } finally {
      this.#isRegistering = wasRegistering
    }
  }

  #emitOddly(message) {
    // EventEmitter emits this, by `this.emit`, before it emits 'error'.
    if (message[0] === errorMonitor) return emitLocally.apply(this, message)
    if (typeof message[0] === 'number') return this.emit(String(message[0]), ...message.slice(1))
    const name = String(message[0])
    throw argumentError(TypeError, 'ERR_SMOKE_BAD_EVENT', `an event is a string, not ${name}`)
  }
}

/** Methods of readable streams in later versions of Node.js, where this version has them. */
const READERS = [
  ...['compose', 'drop', 'every', 'filter', 'find', 'flatMap', 'forEach', 'iterator', 'map'],
  ...['reduce', 'some', 'take', 'toArray'],
].filter((name) => name in Readable.prototype)

// The members of `stream`, for code that was given the channel instead.
for (const name of [
  ...['write', 'end', 'cork', 'uncork', 'setDefaultEncoding'],
  ...['read', 'pipe', 'isPaused', 'setEncoding', 'unshift', Symbol.asyncIterator],
  ...READERS,
]) {
  const value = function (...args) {
    const result = this.stream[name](...args)
    return result === this.stream ? this : result
  }
  Object.defineProperty(Channel.prototype, name, { value, writable: true, configurable: true })
}
// Methods for readers apply to older streams, too.
for (const name of ['unpipe', 'pause', 'resume', 'destroy']) {
  const value = function (...args) {
    this[symbols.halves](name, args)
    this.stream[name](...args)
    return this
  }
  Object.defineProperty(Channel.prototype, name, { value, writable: true, configurable: true })
}
for (const name of [
  ...['readable', 'readableAborted', 'readableDidRead', 'readableEncoding', 'readableEnded'],
  ...['readableFlowing', 'readableHighWaterMark', 'readableLength', 'readableObjectMode'],
  ...['writable', 'writableAborted', 'writableCorked', 'writableEnded', 'writableFinished'],
  ...['writableHighWaterMark', 'writableLength', 'writableNeedDrain', 'writableObjectMode'],
  ...['destroyed', 'errored', 'allowHalfOpen', '_readableState', '_writableState'],
]) {
  const get = function () {
    return this.stream[name]
  }
  Object.defineProperty(Channel.prototype, name, { get, configurable: true })
}

/** The wire name of the events that a listener for `event` hears. */
function nameOf(event) {
  if (event === errorMonitor) return 'error'
  return typeof event === 'string' ? event : undefined
}

function isStream(value) {
  return typeof value?.pipe === 'function' && typeof value.on === 'function'
}

module.exports = { Channel }
