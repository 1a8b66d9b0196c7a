'use strict'

const { detach, needsWriting } = require('./attachments')
const { SmokeError, argumentError } = require('./errors')
const { stringify } = require('./globals')
const { Direct } = require('./direct')
const { Group } = require('./group')
const { Members } = require('./members')
const { callAll } = require('./peerlist')
const { Providers } = require('./providers')
const { Waiters } = require('./ready')
const { checkHandles, readMetaArgument, readRecord, writeRecord } = require('./record')
const { KINDS, REQUEST, Requests, noHandler, unreachable } = require('./requests')
const { Loop, Route, write } = require('./route')
const { Target, readName } = require('./target')
const symbols = require('./symbols')

/** The first bytes of request messages, by kind. */
const LEADS = new Map(KINDS.map((kind) => [kind, `[${stringify(kind)},`]))
/** A request that nodes refuse is offered to at most this many. */
const MAX_TRIES = 3

/** The members of the network, the routes to them, and the requests. */
class Routes {
  members = new Members()
  direct
  #crossing
  #maxMessageSize
  #broadcast
  #isClosed
  #requests
  #providers = new Providers()
  // By id, including this node while it runs.
  #routes = new Map()
  #targets = new Map()
  #own = null
  #options
  #waiters = new Waiters(this.members)

  /**
   * `options` and `broadcast` are the node's. In a closed network, letters are authenticated.
   */
  constructor(crossing, options, broadcast, isClosed) {
    this.#isClosed = isClosed
    this.#crossing = crossing
    this.#options = options
    this.#maxMessageSize = options.maxMessageSize
    this.#broadcast = broadcast
    this.direct = new Direct(crossing)
    const send = (id, kind, payload) => this.#sendRequest(id, kind, payload)
    this.#requests = new Requests({ send }, options.limits)
  }

  /** The application's part of this node's record, as text. */
  get body() {
    return writeRecord(this.#options.meta, this.#handles)
  }

  get counters() {
    return this.#requests.counters
  }

  get #handles() {
    return [...this.#requests.handlers.keys()]
  }

  /** The routes to others, and to this node itself. */
  get list() {
    return [...this.#routes.values()]
  }

  /** The node is started. `random`: a number that earlier lives did not have. */
  begin(random) {
    // Answers to requests of an earlier life must not match new ones.
    this.#requests.begin(this.#options.limits, random)
    this.direct[symbols.open]()
  }

  /** The node listens, with this id, address and port. */
  listening({ id, address, port }) {
    const member = this.#member({ id, address, port, self: true, body: this.body })
    this.#own = new Loop(member, this.#parts())
    this.#add(this.#own)
  }

  joined({ member: handle, ...notice }) {
    const member = this.#member(notice)
    if (!this.#routes.has(member.id)) this.#add(new Route(handle, member, this.#parts()))
  }

  updated({ member: handle, ...notice }) {
    const route = this.#crossing.channel(handle)
    if (route !== undefined) this.#update(route, this.#member(notice))
  }

  left({ member: handle }) {
    const route = this.#crossing.channel(handle)
    if (route !== undefined) this.#remove(route.member.id)
  }

  /** Messages to a member were dropped on the way. After it has left, 'leave' reports that. */
  undelivered({ member: handle, count }, tell) {
    const route = this.#crossing.channel(handle)
    if (route !== undefined) tell({ id: route.member.id, count })
  }

  /** The node stops: it sends and requests nothing more. */
  stop() {
    const error = new SmokeError('ERR_SMOKE_STOPPED')
    this.#own = null
    this.#requests.stop(error)
    this.#waiters.fail(error)
  }

  /** The node has stopped. Returns functions to call afterwards. */
  end() {
    this.stop()
    return [...this.#routes.keys()].map((id) => () => this.#remove(id))
  }

  /** The target for one node, or for several. */
  to(ids) {
    if (Array.isArray(ids)) {
      const several = [...new Set(ids.map(readId))]
      const send = this.#senderTo(several)
      return this.#newTarget(several, send, (name, args, settings) => {
        const ask = (kind, payload) => send(writeOne(kind, payload, this.#maxMessageSize))
        return this.#requests.askAll(several, ask, name, args, settings)
      })
    }
    const id = readId(ids)
    const known = this.#targets.get(id)
    if (known !== undefined) return known
    const target = this.#newTarget([id], this.#senderTo([id]), (name, args, settings) => {
      return this.#requests.ask(id, name, args, settings)
    })
    // Cached only for known nodes, so that all its users share one 'drain'.
    if (this.#routes.has(id)) this.#targets.set(id, target)
    return target
  }

  /** Answers requests with this name. */
  handle(name, handler) {
    readName(name)
    if (typeof handler !== 'function') {
      throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', 'handler must be a function')
    }
    const { handlers } = this.#requests
    if (handlers.has(name)) {
      const message = `"${name}" is handled already: there is one handler per name`
      throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', message)
    }
    checkHandles([...this.#handles, name])
    handlers.set(name, handler)
    this.#announce()
  }

  /** Removes a handler. Returns whether there was one. */
  unhandle(name) {
    const wasHandled = this.#requests.handlers.delete(name)
    if (wasHandled) this.#announce()
    return wasHandled
  }

  setMeta(meta) {
    this.#options.meta = readMetaArgument(meta)
    this.#announce()
  }

  ready(options) {
    return this.#waiters.wait(options)
  }

  /** Asks one node that handles the request, and further ones if it refuses. */
  request(name, args, settings) {
    const tried = []
    const next = (otherwise) => {
      const id = tried.length < MAX_TRIES ? this.#providers.next(name, tried) : undefined
      if (id === undefined) return Promise.reject(otherwise)
      tried.push(id)
      return this.#requests.ask(id, name, args, settings).catch((error) => {
        // The node refused, so its handler has not started.
        if (error.from !== undefined && error.code !== 'ERR_SMOKE_REMOTE') return next(error)
        throw error
      })
    }
    return next(new SmokeError('ERR_SMOKE_NO_HANDLER', `no node handles "${name}"`))
  }

  /** Asks all other nodes. */
  askAll(name, args, settings) {
    if (this.#own === null) return Promise.reject(new SmokeError('ERR_SMOKE_STOPPED'))
    const ids = []
    const errors = new Map()
    for (const { id, self, legacy, handles } of this.members.values()) {
      if (self || legacy) continue
      if (handles.includes(name)) ids.push(id)
      else errors.set(id, noHandler(id))
    }
    const own = this.#own.member.id
    const send = (kind, payload) => this.#broadcast.emit(kind, [...payload, own])
    return this.#requests.askAll(ids, send, name, args, settings, errors)
  }

  /** A broadcast asks for an answer. The requester's id is in its payload. */
  asked(payload) {
    const from = Array.isArray(payload) ? payload[4] : undefined
    // Broadcasts are not authenticated, so the id may be forged.
    const sender = { from, authenticated: false }
    if (this.#routes.get(from) instanceof Route) this.#requests.received(sender, REQUEST, payload)
  }

  /** Returns a function that sends to all of `ids`. It returns the routes without room. */
  #senderTo(ids) {
    if (ids.length === 1) {
      return (written) => {
        const [route] = this.#find(ids)
        return route.send(written) ? [] : [route]
      }
    }
    let group = null
    return (written) => {
      const routes = this.#find(ids)
      const others = routes.filter((route) => route instanceof Route)
      if (others.length < 2) return routes.filter((route) => !route.send(written))
      if (!group?.leadsTo(others)) {
        group?.flush()
        group = new Group(this.#crossing.native, others, this.#maxMessageSize)
      }
      const full = group.send(written)
      if (this.#own !== null && routes.includes(this.#own) && !this.#own.send(written)) {
        full.push(this.#own)
      }
      return full
    }
  }

  #sendRequest(id, kind, payload) {
    const [route] = this.#find([id])
    route.send(writeOne(kind, payload, this.#maxMessageSize))
  }

  #newTarget(ids, send, ask) {
    const target = new Target((message) => {
      // Reports missing nodes before messages that cannot be sent.
      this.#find(ids)
      const full = send(write(message, this.#maxMessageSize))
      for (const route of full) route.await(target)
      target[symbols.wait](full)
      return full.length === 0
    }, ask)
    return target
  }

  /** The routes to all of `ids`. Throws if one is missing. */
  #find(ids) {
    if (this.#own === null) throw new SmokeError('ERR_SMOKE_STOPPED')
    const routes = ids.map((id) => this.#routes.get(id))
    const missing = ids.filter((_, index) => !routes[index] || routes[index].member.legacy)
    if (missing.length > 0) throw unreachable(missing)
    return routes
  }

  #onReceived(route, event, args) {
    if (LEADS.has(event)) this.#requests.received(route.context, event, args[0])
    else this.direct[symbols.receive](route.context, event, args)
  }

  /** This node's record has changed. */
  #announce() {
    this.#broadcast[symbols.takeRequests](this.#requests.handlers.size > 0)
    if (this.#own === null) return
    const { body } = this
    this.#crossing.native.setBody(body)
    this.#update(this.#own, this.#member({ ...this.#own.member, body }))
  }

  #member({ id, address, port, body = '', legacy = false, self = false }) {
    const { meta, handles } = readRecord(body)
    return Object.freeze({ id, address, port, meta, handles: Object.freeze(handles), legacy, self })
  }

  #parts() {
    return {
      crossing: this.#crossing,
      maxMessageSize: this.#maxMessageSize,
      isClosed: this.#isClosed,
      onReceived: (route, event, args) => this.#onReceived(route, event, args),
    }
  }

  #add(route) {
    const { member } = route
    this.#routes.set(member.id, route)
    this.#providers.update(member.id, [], member.handles)
    callAll([() => this.members[symbols.add](member), () => this.#waiters.look()])
  }

  #update(route, member) {
    this.#providers.update(member.id, route.member.handles, member.handles)
    route.member = member
    this.members[symbols.update](member)
  }

  #remove(id) {
    const route = this.#routes.get(id)
    this.#routes.delete(id)
    this.#targets.delete(id)
    this.#providers.update(id, route.member.handles, [])
    this.#requests.left(id)
    callAll([() => route[symbols.close](), () => this.members[symbols.remove](id)])
  }
}

/** The text of a message of this kind, and its attachments. */
function writeOne(kind, payload, maxSize) {
  if (needsWriting(payload)) return detach([kind, payload], maxSize)
  return { json: `${LEADS.get(kind)}${stringify(payload)}]`, attachments: [] }
}

function readId(id) {
  if (typeof id === 'string') return id
  throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', `an id is a string, not ${String(id)}`)
}

module.exports = { Routes }
