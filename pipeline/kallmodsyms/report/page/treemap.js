"use strict";

/*
 * A node of the tree enters; tiles leave, whose areas are as their bytes (squarified: Bruls, Huizing, van Wijk, 2000),
 * drawn on a canvas with those of the next level in them. Arrow keys go from tile to tile, Enter goes in, Escape out.
 */

const SMALLEST = 9; /* square pixels of a tile that is drawn on its own */

/* Tiles {node, x, y, width, height} of children that fill a rectangle; what is too small is one tile with node null. */
function squarify(children, bytes, x, y, width, height) {
	const tiles = [];
	const scale = bytes ? (width * height) / bytes : 0;
	let at = 0;
	let left = bytes;
	while (at < children.length && children[at].bytes * scale >= SMALLEST && width > 1 && height > 1) {
		const side = Math.min(width, height);
		const first = at;
		let sum = 0;
		let worst = Infinity;
		while (at < children.length && children[at].bytes * scale >= SMALLEST) {
			const next = sum + children[at].bytes * scale;
			const largest = children[first].bytes * scale;
			const smallest = children[at].bytes * scale;
			const ratio = Math.max((side * side * largest) / (next * next), (next * next) / (side * side * smallest));
			if (ratio > worst)
				break;
			worst = ratio;
			sum = next;
			left -= children[at].bytes;
			at++;
		}
		const thickness = sum / side;
		let along = 0;
		for (const node of children.slice(first, at)) {
			const length = (node.bytes * scale) / thickness;
			if (width >= height)
				tiles.push({node, x, y: y + along, width: thickness, height: length});
			else
				tiles.push({node, x: x + along, y, width: length, height: thickness});
			along += length;
		}
		if (width >= height) {
			x += thickness;
			width -= thickness;
		} else {
			y += thickness;
			height -= thickness;
		}
	}
	if (left > 0 && at < children.length && width > 1 && height > 1)
		tiles.push({node: null, x, y, width, height, count: children.length - at, bytes: left});
	return tiles;
}

class Treemap {
	/* onZoom(node), onPick(node), onPoint(text) are told what somebody does. */
	constructor(canvas, colors, {onZoom, onPick, onPoint}) {
		this.canvas = canvas;
		this.colors = colors;
		this.onZoom = onZoom;
		this.onPick = onPick;
		this.onPoint = onPoint;
		this.tiles = [];
		this.current = -1;
		canvas.addEventListener("mousemove", (event) => this._hover(event));
		canvas.addEventListener("mouseleave", () => this.onPoint(""));
		canvas.addEventListener("click", (event) => this._enter(this._hit(event)));
		canvas.addEventListener("keydown", (event) => this._key(event));
		canvas.addEventListener("focus", () => this._mark(Math.max(0, this.current)));
		canvas.addEventListener("blur", () => this._mark(-1));
	}

	show(node) {
		this.node = node;
		this.current = -1;
		this.draw();
	}

	draw() {
		const {canvas, node} = this;
		const width = canvas.clientWidth;
		const height = canvas.clientHeight;
		if (!width || !height || !node)
			return;
		const context = fit(canvas, width, height);
		this.tiles = squarify(node.children, node.bytes, 0, 0, width, height);
		for (const tile of this.tiles)
			this._tile(context, tile, 2);
		if (!this.tiles.length)
			this._tile(context, {node, x: 0, y: 0, width, height}, 0);
		this._drawMark(context);
	}

	/* deeper: how many levels are drawn in it, if there is room */
	_tile(context, tile, deeper) {
		const inner = deeper === 2;
		const {x, y, width, height, node} = tile;
		const color = node ? this.colors.of(node.module) : this.colors.mixed;
		context.fillStyle = color;
		context.fillRect(x, y, width, height);
		if (!node || this.colors.striped(node.module))
			stripes(context, x, y, width, height, this.colors.line);
		const head = width > 48 && height > 22 ? 18 : 0;
		if (deeper && node && head && height > 44 && node.children.length > 1) {
			const parts = squarify(node.children, node.bytes, x + 2, y + head, width - 4, height - head - 2);
			for (const part of parts)
				this._tile(context, part, deeper - 1);
		}
		context.strokeStyle = this.colors.line;
		context.lineWidth = inner ? 2 : 0.5;
		context.strokeRect(x, y, width, height);
		if (head || (width > 30 && height > 14))
			this._write(context, tile, color, inner);
	}

	_write(context, tile, color, inner) {
		const {x, y, width, height, node} = tile;
		context.save();
		context.beginPath();
		context.rect(x + 3, y, width - 6, height);
		context.clip();
		context.font = `${inner ? "600 13px" : "12px"} system-ui, sans-serif`;
		const text = fitting(context, node ? node.label : `${number(tile.count)} smaller`, width - 10);
		if (node && this.colors.striped(node.module)) {
			context.fillStyle = color;
			context.fillRect(x + 3, y + 2, context.measureText(text).width + 4, 15);
		}
		context.fillStyle = inkOn(color);
		const more = node && inner ? `${text}  ${rounded(node.bytes)}` : text;
		const shown = context.measureText(more).width <= width - 10 ? more : text;
		context.fillText(shown, x + 5, y + (height < 18 ? height - 3 : 14));
		context.restore();
	}

	_drawMark(context) {
		const tile = this.tiles[this.current];
		if (!tile)
			return;
		context.strokeStyle = this.colors.line;
		context.lineWidth = 6;
		context.strokeRect(tile.x + 3, tile.y + 3, tile.width - 6, tile.height - 6);
		context.strokeStyle = this.colors.accent;
		context.lineWidth = 3;
		context.strokeRect(tile.x + 3, tile.y + 3, tile.width - 6, tile.height - 6);
	}

	_mark(which) {
		this.current = Math.min(which, this.tiles.length - 1);
		this.draw();
		this.onPoint(this._describe(this.tiles[this.current]));
	}

	_describe(tile) {
		if (!tile)
			return "";
		const bytes = tile.node ? tile.node.bytes : tile.bytes;
		const share = ((100 * bytes) / this.node.bytes).toFixed(1);
		const what = tile.node ? tile.node.label : `${number(tile.count)} smaller ones`;
		return `${what}: ${number(bytes)} bytes, ${share} % of ${this.node.label}`;
	}

	_hit(event) {
		const box = this.canvas.getBoundingClientRect();
		const [x, y] = [event.clientX - box.left, event.clientY - box.top];
		return this.tiles.findIndex(
			(tile) => x >= tile.x && x < tile.x + tile.width && y >= tile.y && y < tile.y + tile.height,
		);
	}

	_hover(event) {
		this.onPoint(this._describe(this.tiles[this._hit(event)]));
	}

	_enter(which) {
		const tile = this.tiles[which];
		if (!tile || !tile.node)
			return;
		if (tile.node.children.length)
			this.onZoom(tile.node);
		else
			this.onPick(tile.node);
	}

	_key(event) {
		const step = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1]}[event.key];
		if (step)
			this._mark(this._neighbour(step));
		else if (event.key === "Enter" || event.key === " ")
			this._enter(this.current);
		else if ((event.key === "Escape" || event.key === "Backspace") && this.node.parent)
			this.onZoom(this.node.parent);
		else
			return;
		event.preventDefault();
	}

	/* The nearest tile in a direction, by the distance of the centres, what is aside counting thrice. */
	_neighbour([right, down]) {
		const from = this.tiles[this.current] ?? this.tiles[0];
		let best = this.current;
		let least = Infinity;
		this.tiles.forEach((tile, at) => {
			const x = tile.x + tile.width / 2 - (from.x + from.width / 2);
			const y = tile.y + tile.height / 2 - (from.y + from.height / 2);
			const ahead = x * right + y * down;
			const distance = ahead + 3 * Math.abs(right ? y : x);
			if (ahead > 1 && distance < least) {
				least = distance;
				best = at;
			}
		});
		return best;
	}
}

/* A context for a canvas of a size in CSS pixels, as sharp as the screen. */
function fit(canvas, width, height) {
	const ratio = window.devicePixelRatio || 1;
	canvas.width = Math.round(width * ratio);
	canvas.height = Math.round(height * ratio);
	const context = canvas.getContext("2d");
	context.scale(ratio, ratio);
	return context;
}

/* A label, the last part of it if it is a path, or the beginning of that: what there is room for. */
function fitting(context, label, width) {
	const fits = (text) => context.measureText(text).width <= width;
	if (fits(label))
		return label;
	const last = /^[^ ]*[/]([^/ ]+)$/.exec(label)?.[1] ?? label;
	if (fits(last))
		return last;
	let length = last.length - 1;
	while (length > 1 && !fits(`${last.slice(0, length)}…`))
		length--;
	return length > 1 ? `${last.slice(0, length)}…` : "";
}

function stripes(context, x, y, width, height, color) {
	context.save();
	context.beginPath();
	context.rect(x, y, width, height);
	context.clip();
	context.strokeStyle = color;
	context.lineWidth = 1;
	context.beginPath();
	for (let along = -height; along < width; along += 8) {
		context.moveTo(x + along, y + height);
		context.lineTo(x + along + height, y);
	}
	context.stroke();
	context.restore();
}
