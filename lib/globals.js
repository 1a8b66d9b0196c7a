'use strict'

const { performance } = require('node:perf_hooks')
const timers = require('node:timers')

/**
 * What tests fake and tracers patch while a node runs. A node uses what there was when it was
 * loaded, so that it neither falls silent with fake timers nor speaks another JSON than its peers.
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
