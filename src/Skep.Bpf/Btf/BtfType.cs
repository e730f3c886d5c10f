namespace Skep.Bpf.Btf;

/// <summary>A type of a <see cref="BtfFile"/>.</summary>
/// <param name="Id">Number of the type.</param>
/// <param name="Kind">Kind.</param>
/// <param name="Name">Name, empty when it has none.</param>
/// <param name="Count">Number of members, enumerators or parameters.</param>
/// <param name="SizeOrType">Size in bytes of integers, structs, unions, enums; number of the type referred to of the others.</param>
/// <param name="KindFlag">Meaning depends on the kind: bit fields in a struct, signed values in an enum.</param>
public readonly record struct BtfType(uint Id, BtfKind Kind, string Name, int Count, uint SizeOrType, bool KindFlag);

/// <summary>A member of a struct or union.</summary>
/// <param name="Name">Name, empty for anonymous structs and unions.</param>
/// <param name="Type">Number of its type.</param>
/// <param name="BitOffset">Bits from the start of the struct.</param>
/// <param name="BitSize">Width of a bit field in bits, else 0.</param>
public readonly record struct BtfMember(string Name, uint Type, int BitOffset, int BitSize);

/// <summary>A name and value of an enumeration.</summary>
public readonly record struct BtfEnumerator(string Name, long Value);

/// <summary>Where a field is, counted from the start of the outermost struct.</summary>
/// <param name="Offset">Byte offset.</param>
/// <param name="Size">Size in bytes; for a bit field that of the bytes that hold it.</param>
/// <param name="Type">Number of its type.</param>
/// <param name="BitOffset">For bit fields the first bit within <paramref name="Offset"/>, little-endian order; else 0.</param>
/// <param name="BitSize">Width of a bit field in bits, else 0.</param>
public readonly record struct BtfField(int Offset, int Size, uint Type, int BitOffset = 0, int BitSize = 0);
