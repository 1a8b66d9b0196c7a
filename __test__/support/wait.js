'use strict'

const { EventEmitter } = require('node:events')

/** A wait that ran out. Its message ends with what `dump` said of the state at that moment. */
class DeadlineError extends Error {
  constructor(what, ms, dump) {
    super(`not within ${ms} ms: ${what}${dump ? `\n${dump()}` : ''}`)
    this.name = 'DeadlineError'
    this.code = 'DEADLINE'
  }
}

/** `promise`, or a DeadlineError after `ms`. */
function within(promise, ms, what, dump) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(what, ms, dump)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** The arguments of the next `event` of `emitter`. */
function event(emitter, name, ms = 5000) {
  let listener
  const happened = new Promise((resolve) => {
    listener = (...args) => resolve(args)
    emitter.once(name, listener)
  })
  return within(happened, ms, `event "${name}"`).finally(() =>
    emitter.removeListener(name, listener),
  )
}

/**
 * Something that changes and can be waited for: call `changed()` after each change, and `until` is
 * settled as soon as its condition holds.
 */
class Watched extends EventEmitter {
  constructor() {
    super()
    this.setMaxListeners(0)
  }

  changed() {
    this.emit('changed')
  }

  /** What is worth knowing when a wait runs out. */
  dump() {
    return ''
  }

  /** Resolves to the first truthy value of `condition()`. */
  until(condition, ms, what) {
    let check
    const met = new Promise((resolve, reject) => {
      check = () => {
        try {
          const value = condition()
          if (value) resolve(value)
        } catch (error) {
          reject(error)
        }
      }
      this.on('changed', check)
      check()
    })
    return within(met, ms, what ?? String(condition), () => this.dump()).finally(() =>
      this.removeListener('changed', check),
    )
  }
}

/** Resolves to the first truthy value of `condition()`, asked over and over. */
async function poll(condition, ms, what, every = 20) {
  const end = Date.now() + ms
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > end) throw new DeadlineError(what, ms)
    await pause(every)
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/**
 * Time in which something that must not happen would have happened: a second copy of a message, a
 * connection that was to be refused. Only for showing absence; presence is waited for by its event.
 */
const QUIET = 300
function quiet(ms = QUIET) {
  return pause(ms)
}

module.exports = { DeadlineError, Watched, event, pause, poll, quiet, within }
