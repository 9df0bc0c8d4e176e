"""A Configuration in; tristate.conf, auto.conf, autoconf.h and rustc_cfg out, as the kernel's `conf --syncconfig`
writes them.

    auto.conf                   tristate.conf           autoconf.h
    CONFIG_EXT4_FS=y            CONFIG_EXT4_FS=Y        #define CONFIG_EXT4_FS 1
    CONFIG_LIQUIDIO=m           CONFIG_LIQUIDIO=M       #define CONFIG_LIQUIDIO_MODULE 1
    CONFIG_64BIT=y                                      #define CONFIG_64BIT 1
    CONFIG_LOCALVERSION=-rc1                            #define CONFIG_LOCALVERSION "-rc1"
    CONFIG_PHYSICAL_START=0x0                           #define CONFIG_PHYSICAL_START 0x0

The order is that of `Configuration.values`. Format: __print_symbol() and print_symbol_for_c() in
scripts/kconfig/confdata.c of 6.1 and 6.12; tristate.conf as the kernel had it until 5.5 (8b41fc4454e3 removed it).
"""

from __future__ import annotations

from kallmodsyms.kconfig.configuration import Configuration


def tristate_conf(configuration: Configuration) -> str:
    """include/config/tristate.conf: Y or M for each symbol of type tristate that is not n."""
    return heading(configuration.title, "#", "#", "#") + "".join(
        f"CONFIG_{name}={value.upper()}\n"
        for name, value in configuration.values.items()
        if configuration.types[name] == "tristate"
    )


def auto_conf(configuration: Configuration) -> str:
    """include/config/auto.conf."""
    return heading(configuration.title, "#", "#", "#") + "".join(
        assignment(name, configuration.types[name], value, quoted=configuration.quoted)
        for name, value in configuration.values.items()
    )


def autoconf_h(configuration: Configuration) -> str:
    """include/generated/autoconf.h."""
    return heading(configuration.title, "/*", " *", " */") + "".join(
        _define(name, configuration.types[name], value) for name, value in configuration.values.items()
    )


def rustc_cfg(configuration: Configuration) -> str:
    """include/generated/rustc_cfg: options of rustc (Linux 6.1 and later)."""
    return "".join(_option(name, configuration.types[name], value) for name, value in configuration.values.items())


def assignment(name: str, type_: str, value: str, *, quoted: bool) -> str:
    """One line of auto.conf or .config."""
    return f"CONFIG_{name}={_quote(value) if quoted and type_ == 'string' else value}\n"


def heading(title: str, first: str, middle: str, last: str) -> str:
    """The comment that `conf` puts above each of its files."""
    return f"{first}\n{middle} Automatically generated file; DO NOT EDIT.\n{middle} {title}\n{last}\n"


def _define(name: str, type_: str, value: str) -> str:
    if type_ in ("bool", "tristate"):
        return f"#define CONFIG_{name}{'_MODULE' if value == 'm' else ''} 1\n"
    return f"#define CONFIG_{name} {_quote(value) if type_ == 'string' else _number(type_, value)}\n"


def _option(name: str, type_: str, value: str) -> str:
    plain = f"--cfg=CONFIG_{name}\n" if type_ in ("bool", "tristate") else ""
    return f"{plain}--cfg=CONFIG_{name}={_quote(_number(type_, value))}\n"


def _number(type_: str, value: str) -> str:
    return f"0x{value}" if type_ == "hex" and value[:2] not in ("0x", "0X") else value


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
