'use strict'

// What the programs of this folder have in common: a node of either kind, made and started.

/** A node with options that came as JSON, `id` among them. */
function create(smoke, options, logger) {
  const given = { ...options, logger }
  if (given.maxPeerNo === 'Infinity') given.maxPeerNo = Infinity
  const node = smoke.createNode(given)
  if (options.id) node.id = options.id
  return node
}

/** Starts it; resolves when it listens. An old one tells nobody, so it is looked at. */
function start(node) {
  node.start()
  return new Promise((resolve) => {
    const look = setInterval(() => {
      if (!node.listening) return
      clearInterval(look)
      resolve({ id: node.id, port: node.options.port })
    }, 2)
  })
}

module.exports = { create, start }
