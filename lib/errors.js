'use strict'

/**
 * Every error code of this package; errors of the operating system keep theirs (`EADDRINUSE`, …).
 * The codes are part of the API.
 */
const codes = {
  ERR_SMOKE_OPTION: 'an option is missing, of the wrong type or out of range; see error.option',
  ERR_SMOKE_ARGUMENT: 'an argument of a method is of the wrong type or out of range',
  ERR_SMOKE_BAD_EVENT: 'the name of an event is not a string',
  ERR_SMOKE_TOO_LARGE: 'a message is larger than maxMessageSize',
  ERR_SMOKE_OVERLOADED: "the queue is full: wait for 'drain' after a method returned false",
  ERR_SMOKE_RUNNING: 'the node must be stopped first',
  ERR_SMOKE_STOPPED: 'the node is not running',
  ERR_SMOKE_REFUSED: 'the other node closed the connection instead of becoming a peer',
  ERR_SMOKE_SECRET: 'the other node has no secret, or a different one',
  ERR_SMOKE_NETWORK: 'the other node belongs to a network with another name',
  ERR_SMOKE_ID: 'the other node has the id of this one, or an unusable id',
  ERR_SMOKE_NOT_ALLOWED: 'the address is not in the option allow',
  ERR_SMOKE_TIMEOUT: 'the other node did not answer in time',
  ERR_SMOKE_SELF: 'that address is the node itself',
  ERR_SMOKE_CLOSED: 'the peer is closed',
  ERR_SMOKE_UNREACHABLE: 'the other node is not in the network, or has left it',
  ERR_SMOKE_NO_HANDLER: 'no node handles the request',
  ERR_SMOKE_REMOTE: 'the handler of the other node failed',
  ERR_SMOKE_LOST: 'part of the stream was lost: the reader paused for too long, or was cut off',
  ERR_SMOKE_NO_BINARY: 'the native addon cannot be loaded',
  ERR_SMOKE_SUBNET: 'localIp was given something that is not a subnet',
  ERR_SMOKE_NO_ADDRESS: 'no address of this machine lies in the subnet',
}

/** A failure at run time, as opposed to a mistake in a call. */
class SmokeError extends Error {
  constructor(code, message = codes[code], options = undefined) {
    super(message, options)
    this.code = code
  }

  get name() {
    return 'SmokeError'
  }
}

function coded(error, code, properties) {
  return Object.assign(error, { code }, properties)
}

/** An error about an option: `Base` is TypeError or RangeError. */
function optionError(Base, option, message) {
  return coded(new Base(message), 'ERR_SMOKE_OPTION', { option })
}

/** An error about an argument: `Base` is TypeError or RangeError. */
function argumentError(Base, code, message) {
  return coded(new Base(message), code)
}

/** The error of an operation whose signal was aborted, as in Node.js. */
function abortError(signal) {
  const error = new Error('The operation was aborted', { cause: signal.reason })
  return coded(error, 'ABORT_ERR', { name: 'AbortError' })
}

/** Checks the `signal` among the options of a method. */
function readSignal(options) {
  const signal = options?.signal
  if (signal === undefined || signal === null) return undefined
  if (typeof signal.aborted === 'boolean' && typeof signal.addEventListener === 'function') {
    return signal
  }
  throw argumentError(TypeError, 'ERR_SMOKE_ARGUMENT', 'signal must be an AbortSignal')
}

function tooDeep(depth) {
  const message = `arguments must not nest more than ${depth} deep`
  return argumentError(RangeError, 'ERR_SMOKE_ARGUMENT', message)
}

function tooLarge(maxSize) {
  const message = `a message must not be larger than ${maxSize} bytes (maxMessageSize)`
  return argumentError(RangeError, 'ERR_SMOKE_TOO_LARGE', message)
}

module.exports = {
  ...{ SmokeError, abortError, argumentError, codes, optionError, readSignal, tooDeep, tooLarge },
}
