'use strict'

const { stringify } = require('./globals')

/** What messages begin with, `["event",`, and those without arguments, by names that were sent. */
const leads = new Map()
const MAX_LEADS = 256
const MAX_NAME = 128
/** Names that mean something to a channel; those are looked at each time. */
const MEANINGFUL = new Set(['pipe', 'unpipe', 'error', 'newListener', 'removeListener'])

/** The texts of messages of this name, see {@link leads}. */
function leadOf(event) {
  const name = stringify(event)
  const texts = { lead: `[${name},`, alone: `[${name}]` }
  if (leads.size < MAX_LEADS && event.length <= MAX_NAME && !MEANINGFUL.has(event)) {
    leads.set(event, texts)
  }
  return texts
}

module.exports = { leadOf, leads }
