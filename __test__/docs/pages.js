'use strict'

// The pages of the documentation and their code blocks.

const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.join(__dirname, '..', '..')

/** Each fenced block of a page: `{page, line, language, text, name}`; `name` from `// one.js`. */
function blocksOf(page, markdown) {
  const blocks = []
  const fence = /^```(\S*)\n([\s\S]*?)^```$/gm
  for (const { 1: language, 2: text, index } of markdown.matchAll(fence)) {
    const line = markdown.slice(0, index).split('\n').length
    const [, name] = /^(?:\/\/|#) ([\w.-]+\.[a-z]+)\n/.exec(text) ?? []
    blocks.push({ page, line, language, text, name })
  }
  return blocks
}

/** Every page, with its text and its blocks. */
function pages() {
  const folder = path.join(ROOT, 'docs')
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.md'))
  const files = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'example/README.md']
  return [...files, ...names.map((name) => path.join('docs', name))].map((page) => {
    const markdown = fs.readFileSync(path.join(ROOT, page), 'utf8').replaceAll('\r\n', '\n')
    return { page, markdown, blocks: blocksOf(page, markdown) }
  })
}

module.exports = { ROOT, blocksOf, pages }
