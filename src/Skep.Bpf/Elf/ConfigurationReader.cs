using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Skep.Bpf.Btf;
using Skep.Bpf.Features;

namespace Skep.Bpf.Elf;

/// <summary>
/// Values of the kernel's build options as variables of an object's types (<c>set_kcfg_value</c> in libbpf): y and n as truth value,
/// y, m and n as <c>enum libbpf_tristate</c> or character, numbers as integers, quoted text as array of characters. What begins with
/// <c>LINUX_</c> is no option but a fact about the kernel.
/// </summary>
internal sealed class ConfigurationReader(BtfFile types, ObjectOptions options, KernelTypes? kernel)
{
    private enum Shape { Other, Truth, Character, Integer, Tristate, Text }

    /// <summary>The bytes of the variable, or what is wrong.</summary>
    internal (byte[]? Value, string? Problem) Read(string name, uint type, uint size)
    {
        var (shape, signed) = ShapeOf(type);
        if (shape == Shape.Other)
        {
            return (null, $"kernel option '{name}' is declared with a type that no option can have");
        }

        if (name.StartsWith("LINUX_", StringComparison.Ordinal))
        {
            return Fact(name) is { } fact ? Number(name, fact, shape, size, signed) : (null, $"'{name}' is not known as a fact about the kernel");
        }

        if (!(options.KernelConfiguration ?? KernelConfiguration.Running).TryGetValue(name, out var text))
        {
            return (null, $"the kernel's configuration has no {name}; declare it __weak if the program can do without");
        }

        return text switch
        {
            "y" or "n" or "m" => Letter(name, text[0], shape),
            ['"', ..] when shape == Shape.Text => (Quoted(text, size), null),
            _ when TryParse(text) is { } number => Number(name, number, shape, size, signed),
            _ => (null, $"the kernel's {name} is {text}, which does not fit the variable's type"),
        };
    }

    private (Shape Shape, bool Signed) ShapeOf(uint id)
    {
        var type = types[types.SkipModifiers(id)];
        switch (type.Kind)
        {
            case BtfKind.Int when types.Integer(type.Id).Truth:
                return (type.SizeOrType == 1 ? Shape.Truth : Shape.Other, false);
            case BtfKind.Int when type.SizeOrType is 1 or 2 or 4 or 8:
                return (type.SizeOrType == 1 ? Shape.Character : Shape.Integer, types.Integer(type.Id).Signed);
            case BtfKind.Enum when type.SizeOrType == 4 && type.Name == "libbpf_tristate":
                return (Shape.Tristate, false);
            case BtfKind.Array when types.ArrayShape(type.Id) is { Count: > 0 } array && ShapeOf(array.Element).Shape == Shape.Character:
                return (Shape.Text, false);
            default:
                return (Shape.Other, false);
        }
    }

    private static (byte[]? Value, string? Problem) Letter(string name, char letter, Shape shape) => shape switch
    {
        Shape.Truth when letter != 'm' => ([letter == 'y' ? (byte)1 : (byte)0], null),
        Shape.Character => ([(byte)letter], null),
        Shape.Tristate => (BitConverter.GetBytes(letter switch { 'y' => 1, 'm' => 2, _ => 0 }), null),
        _ => (null, $"the kernel's {name} is {letter}, which does not fit the variable's type"),
    };

    private static (byte[]? Value, string? Problem) Number(string name, Int128 number, Shape shape, uint size, bool signed)
    {
        var bits = (int)size * 8;
        var (least, most) = signed ? (-(Int128.One << (bits - 1)), (Int128.One << (bits - 1)) - 1) : (Int128.Zero, (Int128.One << bits) - 1);
        if (shape == Shape.Truth && number is { } truth && (truth == 0 || truth == 1))
        {
            return ([(byte)truth], null);
        }

        if (shape is not (Shape.Integer or Shape.Character) || number < least || number > most)
        {
            return (null, $"the kernel's {name} is {number}, which does not fit the variable's type of {size} bytes");
        }

        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, unchecked((ulong)number));
        return (bytes[..(int)size], null);
    }

    private static byte[] Quoted(string text, uint size)
    {
        var inner = Encoding.UTF8.GetBytes(text.Length >= 2 && text[^1] == '"' ? text[1..^1] : text[1..]);
        return inner[..(int)Math.Min(inner.Length, size - 1)];
    }

    private static Int128? TryParse(string text)
    {
        var hexadecimal = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        return hexadecimal && ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex) ? hex
            : !hexadecimal && Int128.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;
    }

    private Int128? Fact(string name)
    {
        switch (name)
        {
            case "LINUX_KERNEL_VERSION":
                var version = options.KernelVersion ?? Environment.OSVersion.Version;
                return (version.Major << 16) | (version.Minor << 8) | Math.Clamp(version.Build, 0, 255);
            case "LINUX_HAS_BPF_COOKIE":
                return kernel?.Kernel.Enumerators("bpf_func_id").Any(e => e.Name == "BPF_FUNC_get_attach_cookie") == true ? 1 : 0;
            case "LINUX_HAS_SYSCALL_WRAPPER":
                // Since kernel 4.17 system calls of these machines have a function around them that takes the registers.
                return ((ReadOnlySpan<string>)["__x64_sys_bpf", "__arm64_sys_bpf", "__s390x_sys_bpf", "__riscv_sys_bpf"])
                    .ToArray().Any(n => kernel?.Kernel.Find(n, BtfKind.Function) is not null) ? 1 : 0;
            default:
                return null;
        }
    }
}
