'use strict'

const { performance } = require('node:perf_hooks')
const timers = require('node:timers')

/**
 * Globals that tests fake and tracers patch. A node keeps the originals from when it was loaded:
 * fake timers must not silence it, and its JSON must stay the one that its peers expect.
 */
const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = timers
const { nextTick } = process
const { queueMicrotask } = globalThis
const { parse, stringify } = JSON
const now = performance.now.bind(performance)

module.exports = {
  ...{ clearInterval, clearTimeout, setImmediate, setInterval, setTimeout },
  ...{ nextTick, now, parse, queueMicrotask, stringify },
}
