"use strict";

/*
 * Rows and columns enter; a table that sorts and filters leaves. Only some rows are in the page at a time: a hundred
 * more with each press of the button below.
 */

const PAGE = 100;

class Grid {
	/*
	 * columns: {key, title, numeric, sum, value(row), text(row), link(row), bar}; shown is text, sorted is value.
	 * rows: an array of anything. onState(sort, filter) is told what somebody does.
	 */
	constructor(element, columns, rows, caption, onState) {
		this.element = element;
		this.columns = columns;
		this.rows = rows;
		this.caption = caption;
		this.onState = onState;
		this.shown = PAGE;
	}

	/* sort: a key, with - in front for the largest first */
	show(sort, filter) {
		this.sort = sort;
		this.filter = filter;
		this.shown = PAGE;
		this._choose();
		this._render();
	}

	_choose() {
		const words = this.filter.toLowerCase().split(/\s+/).filter((word) => word);
		const texts = this.columns.filter((column) => !column.numeric);
		const matches = (row) => {
			const text = texts.map((column) => column.text(row)).join("\t").toLowerCase();
			return words.every((word) => text.includes(word));
		};
		const chosen = words.length ? this.rows.filter(matches) : Array.from(this.rows);
		const down = this.sort.startsWith("-");
		const column = this.columns.find((one) => one.key === this.sort.replace("-", "")) ?? this.columns[0];
		const value = column.value ?? column.text;
		const keyed = chosen.map((row) => ({row, key: value(row)}));
		const sign = down ? -1 : 1;
		keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0));
		this.chosen = keyed.map((one) => one.row);
	}

	_render() {
		const table = made("table", {}, [made("caption", {textContent: this._summary()}), this._head(), this._body()]);
		const parts = [made("div", {className: "scroll", tabIndex: 0}, [table])];
		if (this.chosen.length > this.shown) {
			const more = made("button", {type: "button", textContent: `${number(PAGE)} more rows`, className: "more"});
			more.addEventListener("click", () => {
				this.shown += PAGE;
				this._render();
				this.element.querySelector(".more")?.focus();
			});
			parts.push(more);
		}
		this.element.replaceChildren(...parts);
	}

	_summary() {
		const totals = this.columns.filter((column) => column.sum).map((column) => {
			const total = this.chosen.reduce((sum, row) => sum + column.value(row), 0);
			return `${column.title} ${number(total)}`;
		});
		return [`${this.caption}: ${number(this.chosen.length)} of ${number(this.rows.length)}`, ...totals].join(", ");
	}

	_head() {
		const cells = this.columns.map((column) => {
			const sorted = this.sort.replace("-", "") === column.key;
			const down = this.sort.startsWith("-");
			const mark = sorted ? (down ? " ▼" : " ▲") : "";
			const button = made("button", {type: "button", textContent: column.title + mark});
			button.addEventListener("click", () => {
				const first = column.numeric ? `-${column.key}` : column.key;
				const second = column.numeric ? column.key : `-${column.key}`;
				this.onState(this.sort === first ? second : first, this.filter);
				this.element.querySelector(`th[data-key="${column.key}"] button`)?.focus();
			});
			const cell = made("th", {scope: "col", className: column.numeric ? "numeric" : ""}, [button]);
			cell.dataset.key = column.key;
			cell.setAttribute("aria-sort", sorted ? (down ? "descending" : "ascending") : "none");
			return cell;
		});
		return made("thead", {}, [made("tr", {}, cells)]);
	}

	_body() {
		const rows = this.chosen.slice(0, this.shown);
		return made("tbody", {}, rows.map((row) => made("tr", {}, this.columns.map((column) => this._cell(row, column)))));
	}

	_cell(row, column) {
		const text = column.text ? column.text(row) : number(column.value(row));
		const cell = made("td", {className: column.numeric ? "numeric" : ""});
		cell.append(column.link ? made("a", {href: column.link(row), textContent: text}) : text);
		if (column.bar)
			cell.append(bar(column.value(row), column.bar));
		return cell;
	}
}

/* A bar for a number of at most `most`, to the left of the middle for less than nothing. */
function bar(value, most) {
	const width = most ? (50 * Math.abs(value)) / most : 0;
	const inner = made("span", {className: value < 0 ? "less" : "greater"});
	inner.style.width = `${width}%`;
	inner.style.marginLeft = `${value < 0 ? 50 - width : 50}%`;
	const outer = made("span", {className: "bar"}, [inner]);
	outer.setAttribute("aria-hidden", "true");
	return outer;
}

/* An element with properties and children. */
function made(tag, properties = {}, children = []) {
	const element = Object.assign(document.createElement(tag), properties);
	element.append(...children);
	return element;
}
