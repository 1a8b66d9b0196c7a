'use strict'

// What a network looks like from outside: nodes, each with its `id` and the ids of its `peers`.

/** The nodes that can be reached from the first over links that both ends know of, itself too. */
function reached(nodes) {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const reached = new Set(nodes.slice(0, 1))
  for (const node of reached) {
    for (const id of node.peers) {
      const peer = byId.get(id)
      if (peer?.peers.includes(node.id)) reached.add(peer)
    }
  }
  return reached
}

/** Every node has a peer, both ends know of every link, and the graph is in one piece. */
function isTogether(nodes) {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const isSettled = ({ id, peers }) =>
    peers.length > 0 && peers.every((peer) => byId.get(peer)?.peers.includes(id))
  return nodes.every(isSettled) && reached(nodes).size === nodes.length
}

/** Every node knows exactly these as members: itself and the others. */
function knowEachOther(nodes) {
  const ids = nodes.map(({ id }) => id).sort()
  return nodes.every(({ members }) => String([...members].sort()) === String(ids))
}

/** Every node knows exactly its part of the network: those that links lead to. */
function knowTheirPart(nodes) {
  const left = new Set(nodes)
  while (left.size > 0) {
    const [first] = left
    const others = [...nodes].filter((node) => node !== first)
    const part = [...reached([first, ...others])]
    if (!knowEachOther(part)) return false
    for (const node of part) left.delete(node)
  }
  return true
}

module.exports = { isTogether, knowEachOther, knowTheirPart, reached }
