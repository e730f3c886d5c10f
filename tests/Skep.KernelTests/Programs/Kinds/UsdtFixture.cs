using System.Runtime.InteropServices;
using System.Text;
using Skep.Bpf.Kernel;

namespace Skep.KernelTests.Programs.Kinds;

/// <summary>
/// An ELF file with one function and a USDT probe in it, mapped and called without a linker.
/// <code>
/// 0x000 ELF header   0x040 program header   0x100 code: nop; ret   0x300 notes   0x400 names   0x500 section headers
/// 0x1000 semaphore:2
/// </code>
/// </summary>
internal sealed unsafe class UsdtFixture : IDisposable
{
    private const int Page = 0x1000, Size = 2 * Page, Code = 0x100, Counter = Page, Notes = 0x300, Names = 0x400, Sections = 0x500;
    private const ulong Base = 0x10000;
    private const int PrivateMapping = 2, Read = 1, Write = 2, Execute = 4;
    private readonly byte* _code;
    private readonly byte* _data;

    public UsdtFixture(string path)
    {
        File.WriteAllBytes(path, Build());
        var descriptor = LibC.open(path, LibC.O_RDONLY | LibC.O_CLOEXEC);
        using var handle = new KernelHandle(descriptor);

        // As a dynamic linker does: code that nobody writes, data that is private. The kernel looks for both.
        _code = Map(descriptor, 0, Read | Execute);
        _data = Map(descriptor, Counter, Read | Write);
    }

    public ushort Semaphore => *(ushort*)_data;

    public void Call(int value) => ((delegate* unmanaged<int, void>)(_code + Code))(value);

    public void Dispose()
    {
        LibC.munmap(_code, Page);
        LibC.munmap(_data, Page);
    }

    private static byte* Map(int descriptor, nint offset, int protection)
    {
        var memory = (byte*)LibC.mmap(null, Page, protection, PrivateMapping, descriptor, offset);
        Assert.True(memory != LibC.MAP_FAILED, "mapping the fixture failed");
        return memory;
    }

    private static byte[] Build()
    {
        var file = new byte[Size];
        var names = "\0.note.stapsdt\0.shstrtab\0"u8;
        names.CopyTo(file.AsSpan(Names));
        file[Code] = 0x90;
        file[Code + 1] = 0xc3;

        // ET_DYN for x86-64, one program header, three section headers.
        new byte[] { 0x7f, 0x45, 0x4c, 0x46, 2, 1, 1 }.CopyTo(file, 0);
        Put16(16, 3, 62);
        Put32(20, 1);
        Put64(32, 0x40, Sections);
        Put16(52, 64, 56, 1, 64, 3, 2);

        // PT_LOAD of the whole file.
        Put32(0x40, 1, 7);
        Put64(0x48, 0, Base, Base, Size, Size, 0x1000);

        // The note: probe skep:value with one signed 4-byte argument in edi.
        var text = Encoding.ASCII.GetBytes("skep\0value\0-4@%edi\0");
        Put32(Notes, 8, (uint)(24 + text.Length), 3);
        "stapsdt\0"u8.CopyTo(file.AsSpan(Notes + 12));
        Put64(Notes + 20, Base + Code, 0, Base + Counter);
        text.CopyTo(file, Notes + 44);
        var noteSize = (ulong)((44 + text.Length + 3) & ~3);

        // SHT_NULL, SHT_NOTE, SHT_STRTAB: name:4 type:4 flags:8 addr:8 offset:8 size:8
        Put32(Sections + 64, 1, 7);
        Put64(Sections + 72, 0, 0, Notes, noteSize);
        Put32(Sections + 128, 15, 3);
        Put64(Sections + 136, 0, 0, Names, (ulong)names.Length);
        return file;

        void Put16(int at, params ushort[] values) => MemoryMarshal.AsBytes<ushort>(values).CopyTo(file.AsSpan(at));
        void Put32(int at, params uint[] values) => MemoryMarshal.AsBytes<uint>(values).CopyTo(file.AsSpan(at));
        void Put64(int at, params ulong[] values) => MemoryMarshal.AsBytes<ulong>(values).CopyTo(file.AsSpan(at));
    }
}
