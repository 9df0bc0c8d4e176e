"use strict";

/*
 * The bytes of all sections in the order of their addresses, row below row, each cell in the colour of the module that
 * has most of it. Arrow keys move the mark, + and - zoom where it is, 0 shows everything, Enter tells the symbol.
 */

const ROW = 10; /* pixels */
const CELL = 3;

class AddressMap {
	/* onRange(from, to), onPick(span), onPoint(text) are told what somebody does. */
	constructor(canvas, kernel, colors, {onRange, onPick, onPoint}) {
		this.canvas = canvas;
		this.kernel = kernel;
		this.colors = colors;
		this.onRange = onRange;
		this.onPick = onPick;
		this.onPoint = onPoint;
		this.from = 0;
		this.to = kernel.bytes;
		this.mark = -1;
		this.only = -1;
		canvas.addEventListener("mousemove", (event) => this.onPoint(this._describe(this._placeAt(event))));
		canvas.addEventListener("mouseleave", () => this.onPoint(""));
		canvas.addEventListener("click", (event) => this._pick(this._placeAt(event)));
		canvas.addEventListener("dblclick", (event) => this.zoom(4, this._placeAt(event)));
		canvas.addEventListener("keydown", (event) => this._key(event));
	}

	/* only: a module, the others pale; -1 for all */
	show(from, to, mark, only) {
		this.from = from;
		this.to = to;
		this.mark = mark;
		this.only = only;
		this.draw();
	}

	draw() {
		const {canvas} = this;
		const width = canvas.clientWidth;
		const height = canvas.clientHeight;
		if (!width || !height)
			return;
		const context = fit(canvas, width, height);
		this.columns = Math.max(1, Math.floor(width / CELL));
		this.rows = Math.max(1, Math.floor(height / ROW));
		this.step = (this.to - this.from) / (this.columns * this.rows);
		const cells = this._cells();
		const palette = [this.colors.line, ...this.colors.values];
		for (let row = 0; row < this.rows; row++) {
			let first = 0;
			for (let column = 1; column <= this.columns; column++) {
				const cell = cells[row * this.columns + first];
				if (column < this.columns && cells[row * this.columns + column] === cell)
					continue;
				const pale = this.only >= 0 && cell >= 64;
				context.globalAlpha = pale ? 0.18 : 1;
				context.fillStyle = palette[cell % 64];
				context.fillRect(first * CELL, row * ROW, (column - first) * CELL, ROW - 1);
				first = column;
			}
		}
		context.globalAlpha = 1;
		this._borders(context);
		this._drawMark(context);
	}

	/* Of each cell, 1 + the colour of the module with most bytes, and 64 more if that is not the one to be seen. */
	_cells() {
		const {kernel, colors, from, to, step} = this;
		const count = this.columns * this.rows;
		const cells = new Uint8Array(count);
		const most = new Float64Array(count);
		const {owners} = kernel.groups.module;
		for (let span = kernel.spanAt(from); span < kernel.count && kernel.place[span] < to; span++) {
			const bytes = kernel.bytes_of[span];
			if (!bytes)
				continue;
			const module = owners[kernel.owner[span]];
			const value = 1 + colors.classes[module] + (this.only >= 0 && module !== this.only ? 64 : 0);
			const begin = Math.max(0, kernel.place[span] - from) / step;
			const end = Math.min(to - from, kernel.place[span] + bytes - from) / step;
			for (let cell = Math.floor(begin); cell < end && cell < count; cell++) {
				const share = Math.min(end, cell + 1) - Math.max(begin, cell);
				/* What is to be seen wins, however small it is. */
				const weight = this.only >= 0 && module === this.only ? share + 1 : share;
				if (weight > most[cell]) {
					most[cell] = weight;
					cells[cell] = value;
				}
			}
		}
		return cells;
	}

	/* A line, and a name if there is room, where a section begins. */
	_borders(context) {
		context.font = "11px system-ui, sans-serif";
		let free = -1;
		for (const section of this.kernel.sections) {
			if (section.place < this.from || section.place >= this.to || !section.size)
				continue;
			const cell = Math.floor((section.place - this.from) / this.step);
			const [x, y] = [(cell % this.columns) * CELL, Math.floor(cell / this.columns) * ROW];
			context.fillStyle = this.colors.ink;
			context.fillRect(x, y, 2, ROW - 1);
			const width = context.measureText(section.name).width;
			const room = section.size / this.step > (width / CELL) * 1.2;
			if (room && cell > free && x + width + 8 < this.columns * CELL) {
				context.fillStyle = this.colors.line;
				context.fillRect(x + 2, y, width + 5, ROW + 1);
				context.fillStyle = this.colors.ink;
				context.fillText(section.name, x + 4, y + ROW - 1);
				free = cell + width / CELL;
			}
		}
	}

	_drawMark(context) {
		if (this.mark < this.from || this.mark >= this.to)
			return;
		const cell = Math.floor((this.mark - this.from) / this.step);
		const [x, y] = [(cell % this.columns) * CELL, Math.floor(cell / this.columns) * ROW];
		context.strokeStyle = this.colors.line;
		context.lineWidth = 5;
		context.strokeRect(x - 4, y - 3, CELL + 8, ROW + 5);
		context.strokeStyle = this.colors.accent;
		context.lineWidth = 2.5;
		context.strokeRect(x - 4, y - 3, CELL + 8, ROW + 5);
	}

	/* Show 1/times of what is shown, around a place. */
	zoom(times, place) {
		const size = Math.min(this.kernel.bytes, Math.max(64, (this.to - this.from) / times));
		const from = Math.max(0, Math.min(this.kernel.bytes - size, place - size / 2));
		this.onRange(Math.floor(from), Math.ceil(from + size));
	}

	_placeAt(event) {
		const box = this.canvas.getBoundingClientRect();
		const column = Math.min(this.columns - 1, Math.max(0, Math.floor((event.clientX - box.left) / CELL)));
		const row = Math.min(this.rows - 1, Math.max(0, Math.floor((event.clientY - box.top) / ROW)));
		return Math.min(this.to - 1, this.from + (row * this.columns + column + 0.5) * this.step);
	}

	_describe(place) {
		const {kernel} = this;
		const span = kernel.spanAt(place);
		const symbol = kernel.label(span);
		const words = [kernel.hex(kernel.addressOf(place)), symbol || `(${NO_SYMBOL})`, kernel.called("object", span)];
		return `${words.join("  ")}  [${kernel.called("module", span)}]  ${kernel.sections[kernel.section[span]].name}`;
	}

	_pick(place) {
		this.onPick(this.kernel.spanAt(place), Math.floor(place));
	}

	_key(event) {
		const middle = this.mark >= this.from && this.mark < this.to ? this.mark : (this.from + this.to) / 2;
		const move = {
			ArrowRight: this.step * 2,
			ArrowLeft: -this.step * 2,
			ArrowDown: this.step * this.columns,
			ArrowUp: -this.step * this.columns,
		}[event.key];
		if (move)
			this._pick(Math.max(this.from, Math.min(this.to - 1, middle + move)));
		else if (event.key === "+" || event.key === "=")
			this.zoom(2, middle);
		else if (event.key === "-")
			this.zoom(0.5, middle);
		else if (event.key === "0")
			this.onRange(0, this.kernel.bytes);
		else if (event.key === "Enter")
			this._pick(middle);
		else
			return;
		event.preventDefault();
	}
}
