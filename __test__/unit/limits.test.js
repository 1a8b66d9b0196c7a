'use strict'

// lib/limits.js states every limit. All other statements must agree.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { LIMITS } = require('../../lib/limits')

const read = (file) => fs.readFileSync(path.join(__dirname, '..', '..', file), 'utf8')
const UNITS = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }
/** The limits with another name in the core. */
const IN_CORE = { queuePerPeer: 'link_queue' }
/** The limits that JavaScript enforces. */
const OWN = ['maxRequests', 'maxHandled', 'maxHandledPerNode']
const OF_CORE = Object.entries(LIMITS).filter(([name]) => !OWN.includes(name))
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The members of an interface: their documentation by name. */
function documented(text, start) {
  const body = text.slice(text.indexOf(start), text.indexOf('\n  }', text.indexOf(start)))
  const members = body.matchAll(/\/\*\*(.*?)\*\/\s*(\w+)\??:/gs)
  return Object.fromEntries(Array.from(members, ([, comment, name]) => [name, comment]))
}

test('index.d.ts documents every limit with its default', () => {
  const types = documented(read('index.d.ts'), 'interface Limits {')
  assert.deepEqual(Object.keys(types), Object.keys(LIMITS))
  for (const [name, [normal]] of Object.entries(LIMITS)) {
    const [, number, unit] = /Default ([\d.]*\d)(?: (\wiB))?/.exec(types[name])
    assert.equal(Number(number) * (UNITS[unit] ?? 1), normal, name)
  }
})

test('the core has the same defaults', () => {
  const source = read('src/proto/config.rs')
  const defaults = source.slice(source.indexOf('impl Default for Config'))
  for (const [name, [normal]] of OF_CORE) {
    const field = IN_CORE[name] ?? snake(name)
    const found = new RegExp(`\\b${field}: (.*),\n`).exec(defaults)
    assert.ok(found, `${field} has no default`)
    const seconds = /^Duration::from_secs\((\d+)\)$/.exec(found[1])
    const [base, shift = 0] = found[1].replaceAll('_', '').split(' << ').map(Number)
    assert.equal(seconds ? seconds[1] * 1000 : base * 2 ** shift, normal, name)
  }
})

test('the addon accepts every limit', () => {
  const source = read('src/binding/config.rs')
  const struct = source.slice(source.indexOf('pub struct Limits {'))
  const fields = struct.slice(0, struct.indexOf('\n}')).matchAll(/pub (\w+): (?:Option<)?f64/g)
  const names = Array.from(fields, ([, field]) => field)
  assert.deepEqual(
    names,
    OF_CORE.map(([name]) => snake(name)),
  )
})

test('SECURITY.md names every limit', () => {
  const text = read('SECURITY.md')
  const missing = Object.keys(LIMITS).filter((name) => !text.includes(`\`${name}\``))
  assert.deepEqual(missing, [])
})
