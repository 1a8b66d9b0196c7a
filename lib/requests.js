'use strict'

const { SmokeError, abortError } = require('./errors')
const globals = require('./globals')
const { Call } = require('./call')
const { Poll, Question } = require('./questions')

/**
 * Names of the messages of requests. Applications cannot use names with this prefix.
 *
 * REQUEST [number, ms, name, args], ANSWER [number, value], FAILURE [number, reason, code,
 * message], CANCEL [number]. The requester assigns the numbers; `ms` is its timeout. A broadcast
 * request also has the requester's id at the end.
 */
const REQUEST = '\u0000q'
const ANSWER = '\u0000a'
const FAILURE = '\u0000e'
const CANCEL = '\u0000c'
const KINDS = [REQUEST, ANSWER, FAILURE, CANCEL]

// Reasons of a FAILURE.
const THREW = 0
const NO_HANDLER = 1
const OVERLOADED = 2

const MAX_DELAY = 2 ** 31 - 1
/** The most characters of an error's message and code that are sent. */
const MAX_MESSAGE = 1024
const MAX_CODE = 128

/**
 * Requests and their answers, on both sides. A request ends exactly once: with an answer, an error
 * of the handler, a timeout, an abort, the leave of the other node or the stop of this one.
 *
 * The transport has `send(id, kind, payload)`. It throws if it sent nothing, and delivers nothing
 * before it returns.
 */
class Requests {
  #transport
  #limits
  #handlers = new Map()
  // Open requests between this node and another, by id: { asked, served }, both by number.
  #talks = new Map()
  // Requests to several nodes, by number.
  #polls = new Map()
  #waiting = 0
  #serving = 0
  #last = 0
  #counters = newCounters()
  #clock

  /** `limits`: maxRequests, maxHandled and maxHandledPerNode. Tests have their own `clock`. */
  constructor(transport, limits, clock = globals) {
    this.#transport = transport
    this.#limits = limits
    this.#clock = clock
  }

  /** Starts a new life. Answers to requests of the last one must not match new ones. */
  begin(limits, firstNumber) {
    this.#limits = limits
    this.#last = firstNumber
    this.#counters = newCounters()
  }

  get counters() {
    return { ...this.#counters }
  }

  get handlers() {
    return this.#handlers
  }

  /** Asks one node. `timeout` in ms. */
  ask(id, name, args, { timeout, signal }) {
    if (signal?.aborted) return Promise.reject(abortError(signal))
    if (this.#waiting >= this.#limits.maxRequests) return Promise.reject(tooMany())
    const number = ++this.#last
    try {
      this.#transport.send(id, REQUEST, [number, timeout, name, args])
    } catch (error) {
      return refusal(error)
    }
    this.#counters.requests++
    return new Promise((resolve, reject) => {
      const { asked } = this.#talk(id)
      const end = () => {
        asked.delete(number)
        this.#waiting--
      }
      const question = new Question(end, resolve, reject)
      asked.set(number, question)
      this.#waiting++
      this.#watch(question, timeout, signal, {
        onTime: () => question.reject(this.#timedOut(name, id, timeout)),
        onAbort: () => this.#cancel(id, number),
      })
    })
  }

  /**
   * Asks the nodes `ids` at once, by `send(kind, payload)`. Resolves to the replies, at the latest
   * after `timeout` ms. `errors`: the nodes that are not asked, and why.
   */
  askAll(ids, send, name, args, { timeout, signal }, errors = new Map()) {
    if (signal?.aborted) return Promise.reject(abortError(signal))
    if (this.#waiting >= this.#limits.maxRequests) return Promise.reject(tooMany())
    const number = ++this.#last
    try {
      if (ids.length > 0) send(REQUEST, [number, timeout, name, args])
    } catch (error) {
      return refusal(error)
    }
    this.#counters.requests++
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#polls.delete(number)
        this.#waiting--
      }
      const poll = new Poll(ids, errors, end, resolve, reject)
      this.#polls.set(number, poll)
      this.#waiting++
      this.#watch(poll, timeout, signal, {
        onTime: () => {
          this.#counters.timeouts++
          poll.finish()
        },
        onAbort: () => {
          for (const id of poll.expected) this.#cancel(id, number)
        },
      })
      if (poll.expected.size === 0) poll.finish()
    })
  }

  /** Ends a question at its timeout or when its signal is aborted. */
  #watch(question, timeout, signal, { onTime, onAbort }) {
    const timer = this.#clock.setTimeout(onTime, timeout)
    question.forget = () => this.#clock.clearTimeout(timer)
    if (signal === undefined) return
    const abort = () => {
      onAbort()
      question.reject(abortError(signal))
    }
    signal.addEventListener('abort', abort, { once: true })
    question.forget = () => {
      this.#clock.clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  /** A message of requests arrived, with any payload. For `sender`, see {@link Route}. */
  received(sender, kind, payload) {
    const id = sender.from
    const number = Array.isArray(payload) ? payload[0] : undefined
    if (!Number.isSafeInteger(number)) {
      this.#counters.requestsRefused++
    } else if (kind === REQUEST) {
      this.#onRequest(sender, payload)
    } else if (kind === CANCEL) {
      this.#talks.get(id)?.served.get(number)?.abort()
    } else {
      this.#onAnswer(id, kind, payload)
    }
  }

  /** The node `id` has left. Requests to it fail, and requests from it are aborted. */
  left(id) {
    const talk = this.#talks.get(id)
    this.#talks.delete(id)
    const error = unreachable([id])
    if (talk !== undefined) {
      for (const question of [...talk.asked.values()]) question.reject(error)
      for (const call of [...talk.served.values()]) call.abort()
    }
    for (const poll of [...this.#polls.values()]) poll.failed(id, error)
  }

  /** The node has stopped. */
  stop(error) {
    const talks = [...this.#talks.values()]
    this.#talks.clear()
    for (const { asked, served } of talks) {
      for (const question of [...asked.values()]) question.reject(error)
      for (const call of [...served.values()]) call.abort()
    }
    for (const poll of [...this.#polls.values()]) poll.reject(error)
  }

  #talk(id) {
    let talk = this.#talks.get(id)
    if (talk === undefined) {
      talk = { asked: new Map(), served: new Map() }
      this.#talks.set(id, talk)
    }
    return talk
  }

  #timedOut(name, id, timeout) {
    this.#counters.timeouts++
    const message = `no answer to "${name}" from node ${id} within ${timeout} ms`
    return new SmokeError('ERR_SMOKE_TIMEOUT', message)
  }

  #cancel(id, number) {
    this.#trySend(id, CANCEL, [number])
  }

  #onAnswer(id, kind, payload) {
    const [number, value] = payload
    const question = this.#talks.get(id)?.asked.get(number) ?? this.#polls.get(number)
    if (question === undefined || !question.isOpenTo(id)) {
      this.#counters.answersIgnored++
    } else if (kind === ANSWER) {
      question.answered(id, value)
    } else {
      question.failed(id, Object.assign(remoteError(id, payload), { from: id }))
    }
  }

  #onRequest(sender, [number, ms, name, args]) {
    const id = sender.from
    const isInTime = typeof ms === 'number' && ms > 0 && ms <= MAX_DELAY
    if (!isInTime || typeof name !== 'string' || !Array.isArray(args)) {
      this.#counters.requestsRefused++
      return
    }
    const handler = this.#handlers.get(name)
    if (handler === undefined) return this.#fail(id, number, NO_HANDLER)
    const ofNode = this.#talks.get(id)?.served
    if (ofNode?.has(number)) {
      this.#counters.requestsRefused++
    } else if (
      this.#serving >= this.#limits.maxHandled ||
      ofNode?.size >= this.#limits.maxHandledPerNode
    ) {
      this.#counters.requestsRefused++
      this.#fail(id, number, OVERLOADED)
    } else {
      this.#serve(sender, number, ms, handler, args)
    }
  }

  #serve(sender, number, ms, handler, args) {
    const id = sender.from
    this.#counters.requestsHandled++
    const call = new Call(sender, ms, this.#clock)
    let result
    let isPromise
    try {
      result = handler(call.context, ...args)
      isPromise = typeof result?.then === 'function'
    } catch (error) {
      call.end()
      return this.#threw(id, number, error)
    }
    if (!isPromise) {
      call.end()
      return this.#answer(id, number, result)
    }
    const talk = this.#talk(id)
    talk.served.set(number, call)
    this.#serving++
    // Counts until the handler is done, even if the requester left: running handlers are bounded.
    const settled = () => {
      talk.served.delete(number)
      this.#serving--
      return call.end()
    }
    Promise.resolve(result).then(
      (value) => settled() && this.#answer(id, number, value),
      (error) => settled() && this.#threw(id, number, error),
    )
  }

  #answer(id, number, value) {
    try {
      this.#transport.send(id, ANSWER, value === undefined ? [number] : [number, value])
    } catch (error) {
      // A SmokeError: the other node is unreachable. Any other: the value cannot be sent.
      if (!(error instanceof SmokeError)) this.#threw(id, number, error)
    }
  }

  #threw(id, number, error) {
    const { message, code } = describe(error)
    // A text may exceed the smallest `maxMessageSize`.
    if (!this.#trySend(id, FAILURE, [number, THREW, code, message])) {
      this.#trySend(id, FAILURE, [number, THREW])
    }
  }

  #fail(id, number, reason) {
    this.#trySend(id, FAILURE, [number, reason])
  }

  /** Sends a message unless the other node is unreachable. Returns false if it cannot be sent. */
  #trySend(id, kind, payload) {
    try {
      this.#transport.send(id, kind, payload)
      return true
    } catch (error) {
      return error instanceof SmokeError
    }
  }
}

function newCounters() {
  return { requests: 0, timeouts: 0, requestsHandled: 0, requestsRefused: 0, answersIgnored: 0 }
}

/** The outcome of a request that could not be sent. Mistakes in the call are thrown. */
function refusal(error) {
  if (error instanceof SmokeError) return Promise.reject(error)
  throw error
}

function tooMany() {
  const message = 'too many requests wait for their answers (limits.maxRequests)'
  return new SmokeError('ERR_SMOKE_OVERLOADED', message)
}

/** These nodes cannot be reached. */
function unreachable(ids) {
  const message = `not in the network, or of an older version: ${ids.slice(0, 8).join(', ')}`
  return Object.assign(new SmokeError('ERR_SMOKE_UNREACHABLE', message), { ids })
}

function noHandler(id) {
  const error = new SmokeError('ERR_SMOKE_NO_HANDLER', `node ${id} does not handle that`)
  return Object.assign(error, { from: id })
}

/** The error for another node's FAILURE, whose payload may be anything. */
function remoteError(id, [, reason, code, message]) {
  switch (reason) {
    case NO_HANDLER:
      return noHandler(id)
    case OVERLOADED: {
      const text = `node ${id} handles as many requests as it takes`
      return new SmokeError('ERR_SMOKE_OVERLOADED', text)
    }
    default: {
      const text =
        typeof message === 'string' ? message.slice(0, MAX_MESSAGE) : 'the handler failed'
      const error = new SmokeError('ERR_SMOKE_REMOTE', text)
      if (typeof code === 'string') error.remoteCode = code.slice(0, MAX_CODE)
      return error
    }
  }
}

/** The part of a thrown value that is sent. The value may be anything; its stack is never sent. */
function describe(error) {
  try {
    const { message, code } = Object(error)
    const text = typeof message === 'string' ? message : String(error)
    return {
      message: text.slice(0, MAX_MESSAGE).toWellFormed(),
      code: typeof code === 'string' ? code.slice(0, MAX_CODE).toWellFormed() : null,
    }
  } catch {
    return { message: 'the handler failed', code: null }
  }
}

module.exports = { KINDS, MAX_DELAY, REQUEST, Requests, noHandler, unreachable }
