'use strict'
// Fails on an import circle in src and lib, on a file of more than 500 lines and on a function of
// more than 60, tests excepted. Blank lines and comments do not count for functions.

const fs = require('node:fs')
const path = require('node:path')
const { root } = require('./run')

const MOST_IN_FILE = 500
const MOST_IN_FUNCTION = 60

/** Also what napi-rs writes. */
const isTest = (file) => /(^|\/)(tests|fuzz)(\.|\/)|_tests\.rs$|^lib\/binding\.js$/.test(file)

function filesUnder(folder, extension) {
  return fs
    .readdirSync(path.join(root, folder), { recursive: true })
    .map((name) => `${folder}/${name.split(path.sep).join('/')}`)
    .filter((name) => name.endsWith(extension))
    .sort()
}

const read = (file) => fs.readFileSync(path.join(root, file), 'utf8')
/** Without tests at its end, without comments and `pub(in …)`, lines staying where they are. */
const code = (text) =>
  text.split(/^#\[cfg\(test\)\]\nmod \w+ \{/m)[0].replace(/\/\/.*$|\(in [\w:]+\)/gm, '')

/** `a::{b, c::{d, e}}` as [['a','b'], ['a','c','d'], ['a','c','e']]. */
function expand(tree) {
  const open = tree.indexOf('{')
  if (open < 0)
    return [
      tree
        .replace(/ as \w+/, '')
        .trim()
        .split('::'),
    ]
  const before = tree.slice(0, open).trim().split('::').filter(Boolean)
  const parts = []
  let depth = 0
  let part = ''
  for (const char of tree.slice(open + 1, tree.lastIndexOf('}'))) {
    if (char === ',' && depth === 0) {
      parts.push(part)
      part = ''
      continue
    }
    depth += { '{': 1, '}': -1 }[char] ?? 0
    part += char
  }
  parts.push(part)
  return parts
    .filter((text) => text.trim())
    .flatMap(expand)
    .map((rest) => [...before, ...rest])
}

/** A `use` statement: whether it is public, and its tree. */
const USE = /^\s*(pub(?:\([^)]*\))? )?use ([^;]+);/gm

/** Which file of src uses which: by `use` and by paths that begin with crate, super or self. */
function rustImports() {
  const modules = new Map()
  for (const file of filesUnder('src', '.rs')) {
    if (file.startsWith('src/bin/')) continue
    const name = file === 'src/lib.rs' ? '' : file.slice(4, -3).replaceAll('/', '::')
    const text = isTest(file) ? '' : code(read(file))
    const uses = [...text.matchAll(USE)]
    const own = { file, paths: [], exports: new Map() }
    modules.set(name, own)
    for (const [, isPublic, tree] of uses) {
      for (const found of expand(tree.replace(/\s+/g, ' '))) {
        own.paths.push(found)
        if (isPublic) own.exports.set(found.at(-1), found)
      }
    }
    for (const [found] of text.replace(USE, '').matchAll(/\b(crate|super|self)(::\w+)+/g)) {
      own.paths.push(found.split('::'))
    }
  }

  /** The module that has the item: re-exports are followed. */
  function owner(from, given, depth = 0) {
    let at = from ? from.split('::') : []
    const rest = [...given]
    if (rest[0] === 'crate') at = []
    if (['crate', 'self'].includes(rest[0])) rest.shift()
    else if (rest[0] !== 'super' && !modules.has([...at, rest[0]].join('::'))) return undefined
    for (; rest[0] === 'super'; rest.shift()) at.pop()
    while (rest.length && modules.has([...at, rest[0]].join('::'))) at.push(rest.shift())
    const name = at.join('::')
    const forwarded = modules.get(name)?.exports.get(rest[0])
    if (forwarded && depth < 9)
      return owner(name, [...forwarded, ...rest.slice(1)], depth + 1) ?? name
    return name
  }

  const edges = new Map()
  for (const [name, { file, paths }] of modules) {
    const used = paths.map((found) => owner(name, found)).filter((at) => at && at !== name)
    edges.set(file, new Set(used.map((at) => modules.get(at).file)))
  }
  return edges
}

function javascriptImports() {
  const edges = new Map()
  for (const file of filesUnder('lib', '.js').filter((name) => !isTest(name))) {
    const used = [...code(read(file)).matchAll(/require\('(\.[^']+)'\)/g)].map(([, name]) => {
      const to = path.posix.join(path.posix.dirname(file), name)
      return [to, `${to}.js`, `${to}/index.js`].find((found) => edges.has(found) || isFile(found))
    })
    edges.set(file, new Set(used.filter(Boolean)))
  }
  return edges
}

function isFile(name) {
  return fs.statSync(path.join(root, name), { throwIfNoEntry: false })?.isFile() ?? false
}

/** Groups of files that each lead to all others of their group (Tarjan). */
function circles(edges) {
  const found = []
  const order = new Map()
  const low = new Map()
  const stack = []
  function visit(file) {
    order.set(file, order.size)
    low.set(file, order.get(file))
    stack.push(file)
    for (const to of edges.get(file) ?? []) {
      if (!order.has(to)) visit(to)
      if (stack.includes(to)) low.set(file, Math.min(low.get(file), low.get(to)))
    }
    if (low.get(file) !== order.get(file)) return
    const group = stack.splice(stack.indexOf(file))
    if (group.length > 1) found.push(group.sort())
  }
  for (const file of edges.keys()) if (!order.has(file)) visit(file)
  return found
}

/** Functions that are too long, by the indentation that the formatters give them. */
function longFunctions(file) {
  const begins = file.endsWith('.rs')
    ? /^( *)(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe |extern "C" )*fn (\w+)/
    : /^( *)(?:async |static |get |set |function\*? ?|\*)*(#?\w+)\(.*\{$/
  const lines = code(read(file)).split('\n')
  const found = []
  lines.forEach((line, at) => {
    const [, indent, name] = begins.exec(line) ?? []
    if (name === undefined || ['if', 'for', 'while', 'switch', 'catch'].includes(name)) return
    // A method of a trait may have no body, and a short body stands on one line.
    if (/[;}]$/.test(lines.slice(at).find((other) => /[{;}]$/.test(other)))) return
    const end = lines.findIndex((other, n) => n > at && other.startsWith(`${indent}}`))
    const length = lines.slice(at + 1, end).filter((other) => other.trim()).length
    if (end > 0 && length > MOST_IN_FUNCTION) found.push(`${file} ${name}`)
  })
  return found
}

function main() {
  const all = [...filesUnder('src', '.rs'), ...filesUnder('lib', '.js')]
  const sources = all.filter((file) => !isTest(file))
  const found = {
    circles: [...circles(rustImports()), ...circles(javascriptImports())].map((g) => g.join(' ')),
    files: sources.filter((file) => read(file).split('\n').length - 1 > MOST_IN_FILE),
    functions: sources.flatMap(longFunctions),
  }
  const problems = Object.entries(found).flatMap(([kind, all]) =>
    all.map((one) => `${kind}: ${one}`),
  )
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length ? 1 : 0
}

main()
