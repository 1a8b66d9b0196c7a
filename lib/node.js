'use strict'

const { EventEmitter } = require('node:events')
const { Broadcast } = require('./broadcast')
const { Connectivity } = require('./connectivity')
const { readCredentials } = require('./credentials')
const { Crossing } = require('./crossing')
const { Dials } = require('./dials')
const { SmokeError, abortError, argumentError, optionError, readSignal } = require('./errors')
const { nextTick, parse } = require('./globals')
const { handOver } = require('./hand-over')
const { Lifeline } = require('./lifeline')
const { LiveOptions } = require('./live-options')
const { Losses } = require('./losses')
const { loadBinding } = require('./native')
const { logLevels, readId, readOptions } = require('./options')
const { Peer } = require('./peer')
const { Peerlist, callAll } = require('./peerlist')
const { Place } = require('./place')
const { Routes } = require('./routes')
const { StartPromise } = require('./start-promise')
const { Requester } = require('./target')
const { add, asyncDispose, close, drained, open, remove } = require('./symbols')

/** The broadcast channel; every other handle is a peer's. */
const BROADCAST = 0
/** Other runtimes have libuv's functions, too, but end the process when they are called. */
const USES_LIBUV = process.versions.bun === undefined && process.versions.deno === undefined

// The states of a node.
const IDLE = 'idle'
const STARTING = 'starting'
const LISTENING = 'listening'
const STOPPING = 'stopping'

/** One participant of the network. */
class Node extends EventEmitter {
  #state = IDLE
  #id
  #random
  // The credentials of a node in a closed network; null in an open one.
  #credentials
  #crossing
  #dials
  #routes
  #started = null
  #stopped = null
  // start() was called while the node was stopping.
  #startsAgain = false
  #connectivity = new Connectivity(this)
  #lifeline = new Lifeline(this)
  #losses
  // A port chosen by the system; the next start may get another.
  #anyPort = null
  // Where this node and its seeds are.
  #place
  #live
  // Calls of addPeer before the first start; null afterwards.
  #early = []

  /** `binding`: the native addon. */
  constructor(options, binding = loadBinding()) {
    super()
    this.options = readOptions(options)
    this.#credentials = readCredentials(options)
    this.#random = binding.random
    this.#id =
      this.#credentials === null
        ? randomId(this.#random)
        : binding.identityId(this.#credentials.identity)
    this.logger = this.options.logger
    this.#place = new Place(binding.routeTo, this.logger)
    this.#live = new LiveOptions(this, this.#place)
    this.listening = false
    this.connected = false
    this.#crossing = new Crossing(binding.NativeNode, (notice) => this.#onNotice(notice))
    this.peers = new Peerlist(this, (event, peer) => {
      return this.#connectivity.peersChanged(event, peer)
    })
    this.#losses = new Losses(this, this.#crossing)
    this.#dials = new Dials(this.#crossing, this.peers)
    this.broadcast = new Broadcast(this, this.#crossing, BROADCAST, {
      maxMessageSize: this.options.maxMessageSize,
      onLost: (bytes) => this.#losses.chunkDropped(bytes),
      asked: (payload) => this.#routes.asked(payload),
      ask: (name, args, settings) => this.#routes.askAll(name, args, settings),
    })
    this.#crossing.attach(BROADCAST, this.broadcast)
    this.#routes = new Routes(
      this.#crossing,
      this.options,
      this.broadcast,
      this.#credentials !== null,
    )
    this.members = this.#routes.members
    this.direct = this.#routes.direct
  }

  /** The network-wide id. It can be set before the node is started. */
  get id() {
    return this.#id
  }

  set id(id) {
    if (this.#state !== IDLE) {
      throw new SmokeError('ERR_SMOKE_RUNNING', 'the id of a running node cannot be changed')
    }
    if (this.#credentials !== null) {
      const message = 'with the option "secret", the id follows from the option "identity"'
      throw optionError(TypeError, 'id', message)
    }
    this.#id = readId(id)
  }

  /** The same as `peers`. */
  get peerlist() {
    return this.peers
  }

  /**
   * Listens and enters the network. The promise may be ignored: see the event 'error'. `signal`
   * aborts a start that has not finished.
   */
  start(options) {
    const signal = readSignal(options)
    if (signal?.aborted) {
      const failed = StartPromise.create()
      failed.reject(abortError(signal))
      return failed.promise
    }
    this.#start()
    if (signal !== undefined) this.#heed(signal)
    return this.#started.promise
  }

  #start() {
    if (this.#state === IDLE || this.#state === STOPPING) this.#live.check()
    if (this.#state === IDLE) {
      this.#started = StartPromise.create()
      this.#launch()
    } else if (this.#state === STOPPING && !this.#startsAgain) {
      this.#started = StartPromise.create()
      this.#startsAgain = true
    }
    if (this.#early === null) return
    for (const dial of this.#early) this.#started.promise.whenSettled(dial.go, dial.fail)
    this.#early = null
  }

  #reconfigure() {
    const { address, seeds } = this.#place.found
    this.#crossing.native.reconfigure(this.options.maxPeerNo, seeds, address)
  }

  /** Stops if `signal` is aborted before the node listens. */
  #heed(signal) {
    const started = this.#started
    const onAbort = () => {
      started.reject(abortError(signal))
      if (this.#started === started) this.stop()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const settled = () => signal.removeEventListener('abort', onAbort)
    started.promise.whenSettled(settled, settled)
  }

  /** Ends every connection and frees the port. The promise may be ignored. */
  stop() {
    if (this.#startsAgain) {
      this.#startsAgain = false
      this.#started.reject(new SmokeError('ERR_SMOKE_STOPPED', 'the node was stopped'))
    }
    if (this.#state === IDLE) {
      for (const dial of this.#early ?? []) dial.fail(new SmokeError('ERR_SMOKE_STOPPED'))
      this.#early &&= []
      return Promise.resolve()
    }
    if (this.#state === STOPPING) return this.#stopped.promise
    this.#stopped = outcome()
    const isAsking = this.#state === STARTING && this.#place.isAsking
    if (this.#state === STARTING) {
      this.#started.reject(new SmokeError('ERR_SMOKE_STOPPED', 'the node was stopped'))
    }
    const { promise } = this.#stopped
    this.#state = STOPPING
    this.listening = false
    this.#routes.stop()
    this.#place.giveUp()
    if (isAsking) {
      // The core does not run yet.
      nextTick(() => this.#onStopped())
      return promise
    }
    handOver([this.broadcast, ...this.peers.list, ...this.#routes.list], () => {
      this.#crossing.native.stop()
      const followUps = this.broadcast[close](false)
      this.#crossing.run(() => callAll([() => this.#removeAllPeers(), ...followUps]))
    })
    return promise
  }

  [asyncDispose]() {
    return this.stop()
  }

  /** Keeps the process alive while the node runs, which is the default. */
  ref() {
    this.#lifeline.ref()
    return this
  }

  /** Lets the process end while the node runs. */
  unref() {
    this.#lifeline.unref()
    return this
  }

  /**
   * Makes the node at `address` and `port` a peer, once the node listens.
   * `callback(error, peer)` and the promise both report the outcome; both may be ignored. `options`
   * may be omitted. Its `signal` aborts the dial.
   */
  addPeer(address, port, options, callback) {
    if (typeof options === 'function') return this.addPeer(address, port, undefined, options)
    if (typeof options !== 'object' && options !== undefined) {
      throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', 'callback must be a function')
    }
    const isReady = this.#state === LISTENING
    const dial = this.#dials.create(address, port, readSignal(options), callback)
    if (isReady) dial.go()
    else if (this.#early !== null) this.#early.push(dial)
    else if (this.#state === STARTING) this.#started.promise.whenSettled(dial.go, dial.fail)
    else dial.fail(new SmokeError('ERR_SMOKE_STOPPED'))
    return dial.promise
  }

  /** The {@link Target} for one node of the network, or for several. */
  to(ids) {
    return this.#routes.to(ids)
  }

  /** Answers requests named `name`, from other nodes and from this one. */
  handle(name, handler) {
    this.#routes.handle(name, handler)
    return this
  }

  /** Removes a handler. Returns whether there was one. */
  unhandle(name) {
    return this.#routes.unhandle(name)
  }

  /** Asks any one node that handles the request. */
  request(name, ...args) {
    return this.#requester.request(name, ...args)
  }

  timeout(ms) {
    return this.#requester.timeout(ms)
  }

  signal(signal) {
    return this.#requester.signal(signal)
  }

  /** Resolves when the requested number of members is present. */
  ready(options) {
    return this.#routes.ready(options)
  }

  /** Changes this node's `meta`, which all members see. */
  setMeta(meta) {
    this.#routes.setMeta(meta)
  }

  get #requester() {
    return new Requester((...request) => this.#routes.request(...request))
  }

  /** The counters since the node was started. */
  stats() {
    const counters = parse(this.#crossing.native.stats())
    counters.lost += this.#losses.chunks
    Object.assign(counters, this.#routes.counters)
    return { ...counters, limits: { ...this.options.limits } }
  }

  #launch() {
    this.#losses.begin()
    this.#state = STARTING
    this.#lifeline.hold(() => this.#lookAround())
    this.#live.begin()
    this.#place.look(this.options, () => this.#begin())
  }

  /** Starts the core. */
  #begin() {
    this.#place.settle(this.options)
    const { logger, listen, meta: _, slowReceivers, ...rest } = this.options
    const { address, listenHost, seeds } = this.#place.found
    this.#crossing.native.start({
      ...{ id: this.#id, ...rest, address, seeds, ...this.#credentials },
      ...{ listenHost, listenPort: listen.port ?? undefined },
      body: this.#routes.body,
      waitsForReceivers: slowReceivers === 'wait',
      network: rest.network ?? undefined,
      logLevels: logLevels(logger),
      usesLibuv: USES_LIBUV,
    })
    this.#crossing.wake()
    this.#crossing.narrow(BROADCAST)
    this.broadcast[open]()
    this.#routes.begin(this.#random())
  }

  #lookAround() {
    if (this.#state !== LISTENING) return
    this.#live.takeOver(() => this.#reconfigure())
    const isAlone = this.peers.list.length === 0
    this.#place.lookAgain(this.options, isAlone, () => this.#reconfigure())
  }

  #onNotice(notice) {
    switch (notice.t) {
      case 'listening':
        return this.#onListening(notice)
      case 'error':
        return this.#onFailed(notice)
      case 'stopped':
        return this.#onStopped()
      case 'add':
        return this.#onPeerAdded(notice)
      case 'remove':
        return this.#crossing.channel(notice.peer)?.node.peers[remove](this.#peer(notice.peer))
      case 'joined':
      case 'updated':
      case 'left':
        return this.#routes[notice.t](notice)
      case 'dialed':
        return this.#dials.settle(notice, this.#peer(notice.peer))
      case 'drain':
        return this.#crossing.channel(notice.peer)?.[drained]()
      case 'netsplit':
        return this.emit('netsplit', { address: notice.address, port: notice.port })
      case 'resolved':
        return this.emit('netsplit resolved', { address: notice.address, port: notice.port })
      case 'outside':
        return this.emit('outside', notice.seeds)
      case 'island':
      case 'mainland':
        return this.#connectivity[notice.t](notice)
      case 'conflict': {
        const { what, id, address, port } = notice
        return this.emit('conflict', { what, id, address, port })
      }
      case 'refused': {
        const { address, port, reason } = notice
        return this.emit('refused', { address, port, reason })
      }
      case 'log':
        return this.logger[notice.level](notice.message)
      case 'lost':
        return this.#losses.dropped(notice)
      case 'skipped':
        return this.#losses.skipped(notice)
      case 'undelivered':
        return this.#routes.undelivered(notice, (event) => this.emit('undelivered', event))
      case 'slow':
        return this.emit('slow receiver', { id: notice.id })
      case 'oversized': {
        const { id, size, limit } = notice
        return this.emit('oversized', { id, size, limit })
      }
    }
  }

  #peer(handle) {
    return handle === BROADCAST ? undefined : this.#crossing.channel(handle)
  }

  #onListening({ port }) {
    if (this.#state !== STARTING) return
    this.#state = LISTENING
    if (this.options.port === 0) this.#anyPort = port
    this.options.port = port
    this.listening = true
    const { address } = this.#place.found
    this.#routes.listening({ id: this.#id, address, port })
    this.#started.resolve()
  }

  #onFailed({ code, message }) {
    // The node was stopping anyway.
    if (this.#state === STOPPING) return this.#onStopped()
    // Another program has taken the port, which was not the application's choice.
    if (this.#state === STARTING && code === 'EADDRINUSE' && this.options.port === this.#anyPort) {
      this.options.port = 0
      return this.#launch()
    }
    const { address, port } = this.options
    const error = Object.assign(new Error(message), { code, syscall: 'listen', address, port })
    const started = this.#started
    const isStarting = this.#state === STARTING
    callAll([
      () => this.#end(error),
      () => {
        if (isStarting) started.reject(error)
        // A caller that awaits start() gets the error; any other must listen for 'error'.
        if (!isStarting || !started.isAwaited || this.listenerCount('error') > 0) {
          this.emit('error', error)
        }
      },
    ])
  }

  #onStopped() {
    const startsAgain = this.#startsAgain
    this.#startsAgain = false
    callAll([
      () => this.#end(new SmokeError('ERR_SMOKE_STOPPED')),
      () => startsAgain && this.#launch(),
    ])
  }

  /** The core has stopped. */
  #end(reason) {
    const stopped = this.#stopped
    this.#stopped = null
    this.#state = IDLE
    this.listening = false
    this.#lifeline.release()
    this.#crossing.native.rest()
    const followUps = this.broadcast[close](false)
    callAll([
      () => this.#removeAllPeers(),
      ...this.#routes.end(),
      ...followUps,
      () => this.#dials.failAll(reason),
      () => stopped?.resolve(),
    ])
  }

  #onPeerAdded({ peer: handle, id, address, port, max }) {
    if (this.#state === STOPPING) return
    const onLost = (bytes) => this.#losses.chunkDropped(bytes)
    const peer = new Peer(this, this.#crossing, handle, { id, address, port, max, onLost })
    this.#crossing.attach(handle, peer)
    peer[open]()
    this.peers[add](peer)
  }

  #removeAllPeers() {
    const { peers } = this
    callAll(peers.list.map((peer) => () => peers[remove](peer)))
  }
}

/** A promise and the functions that settle it. */
function outcome() {
  let resolve
  const promise = new Promise((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** Two random numbers in base 36, as in 0.x but large enough that a clash is unlikely. */
function randomId(random) {
  return random().toString(36) + random().toString(36)
}

module.exports = { Node }
