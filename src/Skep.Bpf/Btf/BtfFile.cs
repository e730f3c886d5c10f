using System.Runtime.CompilerServices;
using System.Text;

namespace Skep.Bpf.Btf;

/// <summary>
/// Type information of a kernel or object (<c>Documentation/bpf/btf.rst</c>), read in place. Opening makes one pass that notes where each
/// type begins; names and members are decoded when asked for.
/// </summary>
public sealed unsafe partial class BtfFile : IDisposable
{
    private const ushort Magic = 0xeb9f;
    private const int LeastHeader = 24, TypeHeader = 12;

    // Far above any kernel's, and far below what an int can count.
    private const int LargestFile = 1 << 30;
    private const string KernelPath = "/sys/kernel/btf/vmlinux";

    private static readonly Lazy<BtfFile?> s_kernel = new(() => File.Exists(KernelPath) ? Open(KernelPath) : null);

    private readonly BtfMemory _memory;
    private readonly byte* _types;
    private readonly byte* _strings;
    private readonly int _stringsLength;
    private readonly uint[] _offsets;
    private readonly int _count;

    // A kernel module has only the types that the kernel lacks: numbers of types and offsets of strings go on where the base ends.
    private readonly BtfFile? _base;
    private readonly uint _firstId;
    private readonly uint _firstString;

    private BtfFile(BtfMemory memory, BtfFile? baseTypes)
    {
        _memory = memory;
        _base = baseTypes;
        (_firstId, _firstString) = baseTypes is null ? (1, 0) : ((uint)baseTypes._count, baseTypes._firstString + (uint)baseTypes._stringsLength);
        _names = new Lazy<(int[] Heads, int[] Next)>(IndexNames);
        try
        {
            if (memory.Length > LargestFile)
            {
                throw new InvalidDataException($"{memory.Length} bytes are too many for BTF; a kernel's has a few million.");
            }

            var bytes = new ReadOnlySpan<byte>(memory.Address, (int)memory.Length);
            if (bytes.Length < LeastHeader || BitConverter.ToUInt16(bytes) != Magic || bytes[2] != 1)
            {
                throw new InvalidDataException("Not BTF of version 1 in this machine's byte order.");
            }

            // The header tells its own length: kernel 7.1 made it longer, and offsets count from its end.
            var headerLength = BitConverter.ToUInt32(bytes[4..]);
            var types = Section(bytes, headerLength, 8, "types");
            var strings = Section(bytes, headerLength, 16, "strings");
            _types = memory.Address + types.Start;
            _strings = memory.Address + strings.Start;
            _stringsLength = strings.Length;
            if (_stringsLength == 0 ? baseTypes is null : (baseTypes is null && _strings[0] != 0) || _strings[_stringsLength - 1] != 0)
            {
                throw new InvalidDataException("The strings of the BTF do not begin and end with NUL.");
            }

            // Sixteen bytes a type is a little less than the average of a kernel, so that the array is seldom grown.
            _offsets = new uint[(types.Length / 16) + 16];
            _count = (int)_firstId + Index(types.Length, ref _offsets) - 1;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>The running kernel's types, or null when it has none (CONFIG_DEBUG_INFO_BTF).</summary>
    public static BtfFile? Kernel => s_kernel.Value;

    /// <summary>Number of types, the void type included: type numbers are below it.</summary>
    public int Count => _count;

    /// <summary>The first kind this reader does not know, or null. The types from there on are not seen: their length is unknown.</summary>
    public int? UnknownKind { get; private set; }

    /// <summary>Opens a BTF file; one of the kernel is mapped where possible.</summary>
    /// <exception cref="InvalidDataException">It is not BTF, or damaged.</exception>
    public static BtfFile Open(string path) => Open(path, null);

    /// <summary>Opens the types of a kernel module, which go on where those of <paramref name="baseTypes"/> end.</summary>
    /// <exception cref="InvalidDataException">It is not BTF, or damaged.</exception>
    public static BtfFile Open(string path, BtfFile? baseTypes) => new(BtfMemory.Open(path), baseTypes);

    /// <summary>Reads BTF from memory, which is copied; with a base it goes on where that ends, as a kernel module's does.</summary>
    /// <exception cref="InvalidDataException">It is not BTF, or damaged.</exception>
    public static BtfFile Parse(ReadOnlySpan<byte> bytes, BtfFile? baseTypes = null) => new(BtfMemory.Copy(bytes), baseTypes);

    /// <summary>The type with that number; 0 is void.</summary>
    public BtfType this[uint id]
    {
        get
        {
            if (id == 0)
            {
                return new BtfType(0, BtfKind.Unknown, "void", 0, 0, false);
            }

            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(id, (uint)_count);
            var record = Record(id);
            var info = record[1];
            return new BtfType(id, KindOf(info), Text(record[0]), (int)(info & 0xffff), record[2], info >> 31 != 0);
        }
    }

    /// <summary>Releases the memory.</summary>
    public void Dispose() => _memory.Dispose();

    private uint* Record(uint id)
    {
        // SAFETY: Index checked that every record noted lies in the type section; the memory lives until Dispose.
        ObjectDisposedException.ThrowIf(_memory.IsClosed, this);
        if (id < _firstId && _base is not null)
        {
            return _base.Record(id);
        }

        if (id >= (uint)_count || id == 0)
        {
            throw new InvalidDataException($"The BTF refers to type {id}, of {_count}.");
        }

        return (uint*)(_types + _offsets[id - _firstId + 1]);
    }

    private string Text(uint offset)
    {
        var tail = TryStringAt(offset, out var found) ? found : throw new InvalidDataException($"The BTF has no string at {offset}.");
        return Encoding.UTF8.GetString(tail[..tail.IndexOf((byte)0)]);
    }

    /// <summary>What begins at an offset of the strings, up to their end.</summary>
    private bool TryStringAt(uint offset, out ReadOnlySpan<byte> tail)
    {
        if (offset < _firstString)
        {
            return _base!.TryStringAt(offset, out tail);
        }

        var at = offset - _firstString;
        tail = at < (uint)_stringsLength ? new ReadOnlySpan<byte>(_strings + at, _stringsLength - (int)at) : default;
        return at < (uint)_stringsLength;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Index(int length, ref uint[] offsets)
    {
        var (position, count) = (0, 1);
        while (position + TypeHeader <= length)
        {
            var info = *(uint*)(_types + position + 4);
            var extra = ExtraLength(KindOf(info), info & 0xffff);
            if (extra < 0)
            {
                UnknownKind = (int)KindOf(info);
                return count;
            }

            if (position + TypeHeader + extra > length)
            {
                break;
            }

            if (count == offsets.Length)
            {
                Array.Resize(ref offsets, count * 2);
            }

            offsets[count++] = (uint)position;
            position += TypeHeader + extra;
        }

        return position == length ? count : throw new InvalidDataException($"Type {count} of the BTF is cut off.");
    }

    private static BtfKind KindOf(uint info) => (BtfKind)((info >> 24) & 0x1f);

    /// <summary>Bytes after the header of a type, or -1 for an unknown kind.</summary>
    private static int ExtraLength(BtfKind kind, uint count) => kind switch
    {
        BtfKind.Int or BtfKind.Variable or BtfKind.DeclarationTag => 4,
        BtfKind.Array => 12,
        BtfKind.Struct or BtfKind.Union or BtfKind.DataSection or BtfKind.Enum64 => (int)count * 12,
        BtfKind.Enum or BtfKind.FunctionPrototype => (int)count * 8,
        BtfKind.Pointer or BtfKind.Forward or BtfKind.Typedef or BtfKind.Volatile or BtfKind.Const or BtfKind.Restrict
            or BtfKind.Function or BtfKind.Float or BtfKind.TypeTag => 0,
        _ => -1,
    };

    private static (int Start, int Length) Section(ReadOnlySpan<byte> bytes, uint headerLength, int field, string what)
    {
        var start = (ulong)headerLength + BitConverter.ToUInt32(bytes[field..]);
        var length = BitConverter.ToUInt32(bytes[(field + 4)..]);
        return headerLength >= LeastHeader && start + length <= (ulong)bytes.Length
            ? ((int)start, (int)length)
            : throw new InvalidDataException($"The {what} of the BTF lie outside the file.");
    }
}
