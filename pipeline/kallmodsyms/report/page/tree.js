"use strict";

/*
 * The spans of a Kernel enter; a tree leaves, whose nodes make their children when they are asked for them. The bytes
 * of the children of a node sum to its own.
 */

const HIERARCHIES = {
	section: {title: "section, module, object, symbol", levels: ["section", "module", "object", "symbol"]},
	module: {title: "module, object, section, symbol", levels: ["module", "object", "section", "symbol"]},
	directory: {title: "directory, object, symbol", levels: ["top", "directory", "object", "symbol"]},
	option: {title: "CONFIG option, object, symbol", levels: ["option", "object", "symbol"]},
	maintainer: {title: "MAINTAINERS entry, object, symbol", levels: ["maintainer", "object", "symbol"]},
};

const NO_SYMBOL = "no symbol";

/* What the spans are told apart by at a level: a number for each span, and a label for each number. */
function levelOf(kernel, level) {
	if (level === "section")
		return {key: (span) => kernel.section[span], label: (key) => kernel.sections[key].name};
	if (level === "symbol")
		return {
			key: (span) => (kernel.name[span] ? span : -1),
			label: (key) => (key < 0 ? NO_SYMBOL : kernel.label(key)),
		};
	if (level === "top") {
		const {labels, owners} = kernel.groups.directory;
		const tops = [...new Set(labels.map((label) => label.split("/")[0]))];
		const top = labels.map((label) => tops.indexOf(label.split("/")[0]));
		return {key: (span) => top[owners[kernel.owner[span]]], label: (key) => tops[key]};
	}
	const {labels, owners} = kernel.groups[level];
	return {key: (span) => owners[kernel.owner[span]], label: (key) => labels[key]};
}

class TreeNode {
	/* spans: theirs; null for all. module: its number, if all are of one, or -1. span: of a symbol, or -1 */
	constructor(tree, parent, label, depth) {
		this.tree = tree;
		this.parent = parent;
		this.label = label;
		this.depth = depth;
		this.bytes = 0;
		this.spans = [];
		this.module = -2;
		this.span = -1;
		this._children = null;
	}

	/* The largest first. A level that says nothing new (padding has one object, "padding") is left out. */
	get children() {
		if (this._children === null) {
			let depth = this.depth;
			let parts = this._divided(depth);
			while (parts.length === 1 && parts[0].label === this.label && depth + 1 < this.tree.levels.length)
				parts = this._divided(++depth);
			this._children = parts.length === 1 && parts[0].label === NO_SYMBOL ? [] : parts;
		}
		return this._children;
	}

	_divided(depth) {
		const {kernel, levels} = this.tree;
		if (depth >= levels.length)
			return [];
		const {key, label} = this.tree.level(depth);
		const modules = kernel.groups.module.owners;
		const found = new Map();
		const count = this.spans === null ? kernel.count : this.spans.length;
		for (let at = 0; at < count; at++) {
			const span = this.spans === null ? at : this.spans[at];
			if (!kernel.bytes_of[span])
				continue;
			const which = key(span);
			let child = found.get(which);
			if (child === undefined) {
				child = new TreeNode(this.tree, this, label(which), depth + 1);
				child.module = modules[kernel.owner[span]];
				if (levels[depth] === "symbol")
					child.span = span;
				found.set(which, child);
			}
			child.bytes += kernel.bytes_of[span];
			child.spans.push(span);
			if (child.module !== modules[kernel.owner[span]])
				child.module = -1;
		}
		return [...found.values()].sort((a, b) => b.bytes - a.bytes || (a.label < b.label ? -1 : 1));
	}

	get path() {
		return this.parent === null ? [] : [...this.parent.path, this.label];
	}
}

class Tree {
	constructor(kernel, hierarchy) {
		this.kernel = kernel;
		this.hierarchy = hierarchy;
		this.levels = HIERARCHIES[hierarchy].levels;
		this._levels = [];
		this.root = new TreeNode(this, null, "all", 0);
		this.root.spans = null;
		this.root.bytes = kernel.bytes;
	}

	level(depth) {
		this._levels[depth] ??= levelOf(this.kernel, this.levels[depth]);
		return this._levels[depth];
	}

	/* The node that labels lead to, as far as they do. */
	at(path) {
		let node = this.root;
		for (const label of path) {
			const child = node.children.find((one) => one.label === label);
			if (child === undefined)
				break;
			node = child;
		}
		return node;
	}

	/* The deepest node with children, or the parent of the leaf, that has a span. */
	holding(span) {
		let node = this.root;
		for (;;) {
			const child = node.children.find((one) => one.spans.includes(span));
			if (child === undefined || !child.children.length)
				return node;
			node = child;
		}
	}
}
