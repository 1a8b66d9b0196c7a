'use strict'

const { randomBytes } = require('node:crypto')
const { EventEmitter } = require('node:events')
const { Broadcast } = require('./broadcast')
const { readCredentials } = require('./credentials')
const { Crossing } = require('./crossing')
const { Dials } = require('./dials')
const { SmokeError, optionError } = require('./errors')
const { loadBinding } = require('./native')
const { logLevels, readId, readOptions } = require('./options')
const { Peer } = require('./peer')
const { Peerlist, callAll } = require('./peerlist')
const { StartPromise } = require('./start-promise')
const { add, close, drained, flush, open, remove } = require('./symbols')

/** The broadcast channel; every other handle is a peer's. */
const BROADCAST = 0
/** Nodes between start and stop: like a listening server, a running node is never collected. */
const running = new Set()
/** The longest delay of a timer. */
const FOREVER = 2 ** 31 - 1

/** Others have the functions too, and end the process when they are called. */
const USES_LIBUV = process.versions.bun === undefined && process.versions.deno === undefined

// What a node is doing.
const IDLE = 'idle'
const STARTING = 'starting'
const LISTENING = 'listening'
const STOPPING = 'stopping'

/** One participant of the network. */
class Node extends EventEmitter {
  #state = IDLE
  #id = randomId()
  // What makes it a node of a closed network; null in an open one.
  #credentials
  #crossing
  #dials
  #started = null
  #stopped = null
  // start() was called while the node was stopping.
  #startsAgain = false
  #isConnectTold = false
  // Seeds that are in another part of the network.
  #beyond = new Set()
  // Keeps the process alive while the node runs.
  #lifeline = null

  /** `binding`: the native addon. */
  constructor(options, binding = loadBinding()) {
    super()
    this.options = readOptions(options)
    this.#credentials = readCredentials(options)
    if (this.#credentials !== null) this.#id = binding.identityId(this.#credentials.identity)
    this.logger = this.options.logger
    this.listening = false
    this.connected = false
    this.#crossing = new Crossing(binding.NativeNode, (notice) => this.#onNotice(notice))
    this.#dials = new Dials(this.#crossing)
    this.peers = new Peerlist(this, (event, peer) => this.#onPeersChanged(event, peer))
    this.broadcast = new Broadcast(this, this.#crossing, BROADCAST, this.options.maxMessageSize)
    this.#crossing.attach(BROADCAST, this.broadcast)
  }

  /** The node's network-wide name; can be chosen before the node is started. */
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

  /** Listens and enters the network. The promise may be ignored: see the event 'error'. */
  start() {
    if (this.#state === IDLE) {
      this.#started = StartPromise.create()
      this.#launch()
    } else if (this.#state === STOPPING && !this.#startsAgain) {
      this.#started = StartPromise.create()
      this.#startsAgain = true
    }
    return this.#started.promise
  }

  /** Ends every connection and frees the port. The promise may be ignored. */
  stop() {
    if (this.#startsAgain) {
      this.#startsAgain = false
      this.#started.reject(new SmokeError('ERR_SMOKE_STOPPED', 'the node was stopped'))
    }
    if (this.#state === IDLE) return Promise.resolve()
    if (this.#state === STOPPING) return this.#stopped.promise
    this.#stopped = outcome()
    if (this.#state === STARTING) {
      this.#started.reject(new SmokeError('ERR_SMOKE_STOPPED', 'the node was stopped'))
    }
    const { promise } = this.#stopped
    this.#state = STOPPING
    this.listening = false
    this.broadcast[flush]()
    for (const peer of this.peers.list) peer[flush]()
    this.#crossing.native.stop()
    this.broadcast[close](false)
    this.#removeAllPeers()
    return promise
  }

  /**
   * Makes the node at `address` and `port` a peer. `callback(error, peer)` and the promise both
   * tell the outcome; both may be ignored.
   */
  addPeer(address, port, callback) {
    const isReady = this.#state === LISTENING
    const dial = this.#dials.create(address, port, callback)
    if (isReady) dial.go()
    else if (this.#state === STARTING) this.#started.promise.whenSettled(dial.go, dial.fail)
    else dial.fail(new SmokeError('ERR_SMOKE_STOPPED'))
    return dial.promise
  }

  /** What the node has counted since it was started. */
  stats() {
    return { ...JSON.parse(this.#crossing.native.stats()), limits: { ...this.options.limits } }
  }

  #launch() {
    const { options } = this
    const { logger, ...rest } = options
    this.#state = STARTING
    running.add(this)
    this.#lifeline = setInterval(() => {}, FOREVER)
    this.#crossing.native.start({
      ...{ id: this.#id, ...rest, ...this.#credentials },
      network: options.network ?? undefined,
      logLevels: logLevels(logger),
      usesLibuv: USES_LIBUV,
    })
    this.#crossing.narrow(BROADCAST)
    this.broadcast[open]()
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
        return this.#onIsland(notice)
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
        this.logger.warn(`${notice.count} messages were dropped: handlers are too slow`)
        return this.emit('lost', { count: notice.count })
      case 'skipped':
        // The core has logged it.
        return this.emit('skipped', { id: notice.id, count: notice.count })
    }
  }

  #peer(handle) {
    return handle === BROADCAST ? undefined : this.#crossing.channel(handle)
  }

  #onListening({ port }) {
    if (this.#state !== STARTING) return
    this.#state = LISTENING
    this.options.port = port
    this.listening = true
    this.#started.resolve()
  }

  #onFailed({ code, message }) {
    // It was to stop anyway.
    if (this.#state === STOPPING) return this.#onStopped()
    const error = Object.assign(new Error(message), { code })
    const started = this.#started
    const isStarting = this.#state === STARTING
    callAll([
      () => this.#end(error),
      () => {
        if (isStarting) started.reject(error)
        // Whoever awaits start() gets to know it; whoever does not must listen for 'error'.
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

  /** Nothing runs any more. */
  #end(reason) {
    const stopped = this.#stopped
    this.#stopped = null
    this.#state = IDLE
    this.listening = false
    running.delete(this)
    clearInterval(this.#lifeline)
    this.broadcast[close](false)
    callAll([
      () => this.#removeAllPeers(),
      () => this.#dials.failAll(reason),
      () => stopped?.resolve(),
    ])
  }

  #onPeerAdded({ peer: handle, id, address, port }) {
    if (this.#state === STOPPING) return
    const peer = new Peer(this, this.#crossing, handle, { id, address, port })
    this.#crossing.attach(handle, peer)
    peer[open]()
    this.peers[add](peer)
  }

  #removeAllPeers() {
    const { peers } = this
    callAll(peers.list.map((peer) => () => peers[remove](peer)))
  }

  /** A seed is in another part of the network, or no longer is. */
  #onIsland({ t, address, port }) {
    const seed = `${address}:${port}`
    if (t === 'mainland') this.#beyond.delete(seed)
    else this.#beyond.add(seed)
    this.#updateConnected()
    if (t === 'island') this.emit('island', { address, port })
    else this.emit('island resolved', { address, port })
  }

  #updateConnected() {
    const hasPeers = this.peers.list.length > 0
    if (!hasPeers) this.#beyond.clear()
    this.connected = hasPeers && this.#beyond.size === 0
    return hasPeers
  }

  #onPeersChanged(event, peer) {
    const hasPeers = this.#updateConnected()
    if (event === 'add') {
      return [
        () => {
          if (!hasPeers || this.#isConnectTold) return
          this.#isConnectTold = true
          this.emit('connect')
        },
        () => peer.closed || this.emit('new peer', peer),
      ]
    }
    return [
      () => {
        if (this.peers.list.length > 0 || !this.#isConnectTold) return
        this.#isConnectTold = false
        this.emit('disconnect')
      },
    ]
  }
}

/** A promise and what settles it. */
function outcome() {
  let resolve
  const promise = new Promise((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** Two random numbers in base 36, like in 0.x but of a size that makes a clash unlikely. */
function randomId() {
  const part = () => randomBytes(6).readUIntBE(0, 6).toString(36)
  return part() + part()
}

module.exports = { Node }
