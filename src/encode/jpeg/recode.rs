//! A JPEG as a block of a TIFF holds it: with Huffman tables that suit its own data, and without what is the same for all blocks.
//!
//! `TurboJPEG` codes with the example tables of the standard, which take some 5 % more than need be. What it has made is decoded to the
//! symbols it stands for, they are counted, and coded anew. Terms and procedures are those of ITU-T T.81: tables of code lengths by
//! annex K.2, codes by annex C, the coding of coefficients by annex F.1.2.

/// Markers, which follow a byte of ones.
const START: u8 = 0xD8;
const END: u8 = 0xD9;
const QUANTISATION: u8 = 0xDB;
const FRAME: u8 = 0xC0;
const HUFFMAN: u8 = 0xC4;
const SCAN: u8 = 0xDA;
/// Others that may stand before the scan and say nothing that matters in a TIFF: those of applications, and comments.
const PASSED: [std::ops::RangeInclusive<u8>; 2] = [0xE0..=0xEF, 0xFE..=0xFE];

/// Bits by which most codes are looked up at once.
const QUICK: u32 = 10;

/// A run of sixteen zeros.
const ZEROS: u8 = 0xF0;

/// Coefficients of a block.
const COEFFICIENTS: u32 = 64;

/// A table of codes, as a stream tells it.
#[derive(Debug, Clone)]
struct Decoder {
    /// Length and symbol for the next bits; zeros for longer codes.
    quick: Box<[[u8; 2]; 1 << QUICK]>,
    /// Of the codes of each length: the first one after them, and the position of the first's symbol.
    longer: [(u32, u32, u32); 17],
    symbols: Vec<u8>,
}

/// A code for each symbol, and its length.
type Codes = [(u32, u32); 256];

/// Buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Recoder {
    entropy: Vec<u8>,
    /// Table, symbol and the bits that follow it: 2, 8 and 16 bits.
    tokens: Vec<u32>,
}

/// What stands before the coded data.
#[derive(Default)]
struct Head<'a> {
    /// The frame and the scan, markers included.
    frame: &'a [u8],
    scan: &'a [u8],
    /// The quantisation tables, markers included.
    quantisation: Vec<&'a [u8]>,
    /// Two for the first coefficients, two for the others.
    decoders: [Option<Decoder>; 4],
    /// Tables of each block of a unit, and how many units there are.
    unit: Vec<[usize; 2]>,
    units: usize,
    /// Where the data begin.
    data: usize,
}

impl<'a> Head<'a> {
    /// Takes apart what stands before the data; `None` for what is no baseline JPEG in one scan.
    fn of(jpeg: &'a [u8]) -> Option<Self> {
        let mut head = Self::default();
        let mut at = 2;
        if jpeg.get(..2)? != [0xFF, START] {
            return None;
        }
        loop {
            let &[0xFF, marker, high, low] = jpeg.get(at..at + 4)? else { return None };
            let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
            let (whole, body) = (jpeg.get(at..end)?, jpeg.get(at + 4..end)?);
            at = end;
            match marker {
                QUANTISATION => head.quantisation.push(whole),
                FRAME => head.frame = whole,
                HUFFMAN => head.add_tables(body)?,
                SCAN => {
                    head.scan = whole;
                    head.data = at;
                    head.lay_out()?;
                    return Some(head);
                }
                other if PASSED.iter().any(|range| range.contains(&other)) => {}
                _ => return None,
            }
        }
    }

    fn add_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let [class, rest @ ..] = body {
            let counts: [u8; 16] = *rest.first_chunk()?;
            let number = counts.iter().map(|n| usize::from(*n)).sum::<usize>();
            let symbols = rest.get(16..16 + number)?;
            let slot = usize::from(class >> 4) * 2 + usize::from(class & 15);
            *self.decoders.get_mut(slot)? = Some(Decoder::new(&counts, symbols));
            body = &rest[16 + number..];
        }
        Some(())
    }

    /// Which tables the blocks of a unit take, from the frame and the scan.
    fn lay_out(&mut self) -> Option<()> {
        let side = |at: usize| {
            Some(usize::from(u16::from_be_bytes([*self.frame.get(at)?, *self.frame.get(at + 1)?])))
        };
        let (height, width, count) = (side(5)?, side(7)?, usize::from(*self.frame.get(9)?));
        let components = self.frame.get(10..10 + 3 * count)?.as_chunks::<3>().0;
        if *self.frame.get(4)? != 8 || usize::from(*self.scan.get(4)?) != count {
            return None;
        }
        let scanned = self.scan.get(5..5 + 2 * count)?.as_chunks::<2>().0;
        let (mut across, mut down) = (1, 1);
        for (&[id, sampling, _], &[scanned, tables]) in components.iter().zip(scanned) {
            let (h, v) =
                if count == 1 { (1, 1) } else { (usize::from(sampling >> 4), usize::from(sampling & 15)) };
            let (dc, ac) = (usize::from(tables >> 4), 2 + usize::from(tables & 15));
            if id != scanned || dc > 1 || ac > 3 || !(1..=4).contains(&h) || !(1..=4).contains(&v) {
                return None;
            }
            (across, down) = (across.max(h), down.max(v));
            self.unit.extend(std::iter::repeat_n([dc, ac], h * v));
        }
        self.units = width.div_ceil(8 * across) * height.div_ceil(8 * down);
        Some(())
    }
}

/// What stands in the table that all blocks of a TIFF share: the quantisation tables.
pub(super) fn tables(jpeg: &[u8]) -> Option<Vec<u8>> {
    let head = Head::of(jpeg)?;
    let mut out = vec![0xFF, START];
    head.quantisation.iter().for_each(|part| out.extend_from_slice(part));
    out.extend([0xFF, END]);
    Some(out)
}

/// The quantisation tables of a stream that holds nothing else, by their numbers.
pub(super) fn quantisation(stream: &[u8]) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut all = Vec::new();
    let mut at = 2;
    if stream.get(..2)? != [0xFF, START] {
        return None;
    }
    loop {
        match *stream.get(at..at + 2)? {
            [0xFF, END] => {
                all.sort();
                return Some(all);
            }
            [0xFF, QUANTISATION] => {
                let length = usize::from(u16::from_be_bytes([*stream.get(at + 2)?, *stream.get(at + 3)?]));
                let mut body = stream.get(at + 4..at + 2 + length)?;
                while let [number, rest @ ..] = body {
                    let bytes = if number >> 4 == 0 { 64 } else { 128 };
                    all.push((*number, rest.get(..bytes)?.to_vec()));
                    body = &rest[bytes..];
                }
                at += 2 + length;
            }
            _ => return None,
        }
    }
}

impl Recoder {
    /// Appends a baseline JPEG without its quantisation tables, coded with tables of its own. `None` when it is none.
    pub(super) fn recode(&mut self, jpeg: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let head = Head::of(jpeg)?;
        self.take_data(jpeg.get(head.data..)?);
        let counts = self.read(&head)?;
        out.extend([0xFF, START]);
        out.extend_from_slice(head.frame);
        let mut codes: [Codes; 4] = [[(0, 0); 256]; 4];
        let mut told = [false; 4];
        for table in head.unit.iter().flatten().copied() {
            if !std::mem::replace(&mut told[table], true) {
                let (lengths, symbols) = optimal(&counts[table * 256..][..256]);
                tell(table, &lengths, &symbols, out);
                codes[table] = canonical(&lengths, &symbols);
            }
        }
        out.extend_from_slice(head.scan);
        self.write(&codes, out);
        out.extend([0xFF, END]);
        Some(())
    }

    /// The coded data without the zeros that follow bytes of ones, and with room to read beyond their end.
    fn take_data(&mut self, mut data: &[u8]) {
        self.entropy.clear();
        while let Some(at) = data.iter().position(|b| *b == 0xFF) {
            if data.get(at + 1) != Some(&0) {
                data = &data[..at];
                break;
            }
            self.entropy.extend_from_slice(&data[..=at]);
            data = &data[at + 2..];
        }
        self.entropy.extend_from_slice(data);
        self.entropy.extend([0; 16]);
    }

    /// Reads all symbols, and counts them by table.
    fn read(&mut self, head: &Head<'_>) -> Option<[u32; 1024]> {
        let mut counts = [0u32; 1024];
        let mut bits = Bits { data: &self.entropy, at: 0, buffer: 0, count: 0 };
        self.tokens.clear();
        let mut decoders = Vec::with_capacity(head.unit.len());
        for [dc, ac] in &head.unit {
            decoders.push((*dc, head.decoders[*dc].as_ref()?, *ac, head.decoders[*ac].as_ref()?));
        }
        for _ in 0..head.units {
            for (dc, first, ac, others) in &decoders {
                let mut tokens = [0u32; COEFFICIENTS as usize];
                let mut number = 0;
                let mut take = |table: usize, decoder: &Decoder| {
                    bits.refill()?;
                    let (symbol, value) = decoder.next(&mut bits)?;
                    let kind = (table as u32) << 8 | u32::from(symbol);
                    tokens[number % tokens.len()] = kind << 16 | value;
                    number += 1;
                    counts[kind as usize % counts.len()] += 1;
                    Some(symbol)
                };
                take(*dc, first)?;
                let mut k = 1;
                while k < COEFFICIENTS {
                    match take(*ac, others)? {
                        ZEROS => k += 16,
                        symbol if symbol.trailing_zeros() >= 4 => break,
                        symbol => k += u32::from(symbol >> 4) + 1,
                    }
                }
                self.tokens.extend_from_slice(tokens.get(..number)?);
            }
        }
        Some(counts)
    }

    /// Codes all symbols.
    fn write(&self, codes: &[Codes; 4], out: &mut Vec<u8>) {
        let (mut buffer, mut count) = (0u64, 0u32);
        out.reserve(self.entropy.len());
        for token in &self.tokens {
            let symbol = (token >> 16) as u8;
            let (code, length) = codes[(token >> 24) as usize & 3][usize::from(symbol)];
            let more = u32::from(symbol & 15);
            buffer = buffer << (length + more) | u64::from(code << more | token & 0xFFFF);
            count += length + more;
            if count >= 32 {
                count -= 32;
                put((buffer >> count) as u32, out);
            }
        }
        // What is left of the last byte is ones.
        let rest = (8 - count % 8) % 8;
        buffer = buffer << rest | ((1 << rest) - 1);
        count += rest;
        while count > 0 {
            count -= 8;
            put_byte((buffer >> count) as u8, out);
        }
    }
}

/// Appends four bytes.
fn put(word: u32, out: &mut Vec<u8>) {
    let bytes = word.to_be_bytes();
    // Whether none is 0xFF: none of the others is 0.
    let others = !word;
    if others.wrapping_sub(0x0101_0101) & !others & 0x8080_8080 == 0 {
        out.extend_from_slice(&bytes);
    } else {
        for byte in bytes {
            put_byte(byte, out);
        }
    }
}

fn put_byte(byte: u8, out: &mut Vec<u8>) {
    out.push(byte);
    if byte == 0xFF {
        out.push(0);
    }
}

/// Bits, most significant first.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits stand at its upper end.
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    /// Gathers 56 bits at least; `None` far beyond the end.
    #[inline]
    fn refill(&mut self) -> Option<()> {
        if self.count < 32 {
            let word: [u8; 8] = *self.data.get(self.at..)?.first_chunk()?;
            self.buffer |= u64::from_be_bytes(word) >> self.count;
            self.at += (63 - self.count as usize) / 8;
            // 56 more, or as many as there is room for.
            self.count |= 0b11_1000;
        }
        Some(())
    }

    /// Takes a code of some bits, and the bits that follow it, up to 15.
    #[inline]
    fn take(&mut self, code: u32, more: u32) -> u32 {
        let value = (self.buffer << code >> 1 >> (63 - more)) as u32;
        self.buffer <<= code + more;
        self.count -= code + more;
        value
    }
}

impl Decoder {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Self {
        let mut quick = Box::new([[0; 2]; 1 << QUICK]);
        let mut longer = [(0, 0, 0); 17];
        let (mut code, mut position) = (0u32, 0u32);
        for (length, count) in (1u32..).zip(counts) {
            longer[length as usize] = (code, code + u32::from(*count), position);
            for _ in 0..*count {
                if length <= QUICK
                    && let Some(symbol) = symbols.get(position as usize)
                {
                    let from = (code << (QUICK - length)) as usize;
                    let end = from + (1 << (QUICK - length));
                    quick.get_mut(from..end).unwrap_or_default().fill([length as u8, *symbol]);
                }
                code += 1;
                position += 1;
            }
            code <<= 1;
        }
        Self { quick, longer, symbols: symbols.to_vec() }
    }

    /// The next symbol, and the bits that follow it.
    #[inline]
    fn next(&self, bits: &mut Bits<'_>) -> Option<(u8, u32)> {
        let [length, symbol] = self.quick[(bits.buffer >> (64 - QUICK)) as usize];
        if length > 0 {
            return Some((symbol, bits.take(u32::from(length), u32::from(symbol & 15))));
        }
        for length in QUICK + 1..=16 {
            let code = (bits.buffer >> (64 - length)) as u32;
            let (first, end, position) = self.longer[length as usize];
            if code >= first && code < end {
                let symbol = *self.symbols.get((position + code - first) as usize)?;
                return Some((symbol, bits.take(length, u32::from(symbol & 15))));
            }
        }
        None
    }
}

/// How many codes there are of each length from 1 to 16, and their symbols in the order of codes, such that all symbols that were
/// counted take the fewest bits (T.81, annex K.2). No code is all ones: that is left to a symbol of its own, which is then dropped.
fn optimal(counts: &[u32]) -> ([u8; 16], Vec<u8>) {
    const RESERVED: usize = 256;
    let mut trees: Vec<(u64, usize)> =
        counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(s, n)| (u64::from(*n), s)).collect();
    trees.push((1, RESERVED));
    let mut length = [0usize; 257];
    let mut next: [Option<usize>; 257] = [None; 257];
    let deepen = |mut symbol: usize, length: &mut [usize; 257], next: &[Option<usize>; 257]| {
        length[symbol] += 1;
        while let Some(other) = next[symbol] {
            symbol = other;
            length[symbol] += 1;
        }
        symbol
    };
    // Of trees of one count the one of the greatest symbol is taken first.
    let least = |trees: &[(u64, usize)]| {
        let order = |(_, (count, symbol)): &(usize, &(u64, usize))| (*count, usize::MAX - *symbol);
        trees.iter().enumerate().min_by_key(order).map(|(at, _)| at)
    };
    while trees.len() > 1 {
        let (Some(first), mut rest) = (least(&trees), trees) else { break };
        let (one, a) = rest.swap_remove(first);
        let Some(second) = least(&rest) else { break };
        let (other, b) = rest.swap_remove(second);
        let last = deepen(a, &mut length, &next);
        next[last] = Some(b);
        deepen(b, &mut length, &next);
        rest.push((one + other, a));
        trees = rest;
    }
    let mut bits = [0u32; 258];
    length.iter().filter(|l| **l > 0).for_each(|l| bits[*l] += 1);
    for long in (17..bits.len()).rev() {
        while bits[long] > 0 {
            let mut short = long - 2;
            while bits[short] == 0 {
                short -= 1;
            }
            bits[long] -= 2;
            bits[long - 1] += 1;
            bits[short + 1] += 2;
            bits[short] -= 1;
        }
    }
    if let Some(longest) = (1..=16).rev().find(|l| bits[*l] > 0) {
        bits[longest] -= 1;
    }
    let mut symbols: Vec<usize> = (0..RESERVED).filter(|s| length[*s] > 0).collect();
    symbols.sort_by_key(|s| length[*s]);
    (std::array::from_fn(|k| bits[k + 1] as u8), symbols.into_iter().map(|s| s as u8).collect())
}

/// The codes of symbols (T.81, annex C).
fn canonical(lengths: &[u8; 16], symbols: &[u8]) -> Codes {
    let mut codes = [(0, 0); 256];
    let (mut code, mut symbols) = (0, symbols.iter());
    for (length, count) in (1..).zip(lengths) {
        for symbol in symbols.by_ref().take(usize::from(*count)) {
            codes[usize::from(*symbol)] = (code, length);
            code += 1;
        }
        code <<= 1;
    }
    codes
}

/// Appends a table.
fn tell(table: usize, lengths: &[u8; 16], symbols: &[u8], out: &mut Vec<u8>) {
    let class = (((table / 2) << 4) | (table % 2)) as u8;
    let bytes = (2 + 1 + lengths.len() + symbols.len()) as u16;
    out.extend([0xFF, HUFFMAN]);
    out.extend(bytes.to_be_bytes());
    out.push(class);
    out.extend_from_slice(lengths);
    out.extend_from_slice(symbols);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_symbols_have_short_codes_and_none_is_all_ones() {
        let mut counts = [0u32; 256];
        // Growing so fast that the longest code would have more than 16 bits.
        let (mut a, mut b) = (1u32, 1u32);
        for slot in &mut counts[..30] {
            *slot = a;
            (a, b) = (b, a + b);
        }
        let (lengths, symbols) = optimal(&counts);
        assert_eq!(symbols.len(), 30);
        assert_eq!(lengths.iter().map(|n| usize::from(*n)).sum::<usize>(), 30);
        let codes = canonical(&lengths, &symbols);
        assert!(codes[29].1 <= 2 && codes[29].1 <= codes[0].1);
        for (code, length) in &codes[..30] {
            assert!((1..=16).contains(length) && *code < (1 << length) - 1, "{code:b} of {length}");
        }
        // No code begins another.
        for (i, (one, short)) in codes[..30].iter().enumerate() {
            for (j, (other, long)) in codes[..30].iter().enumerate() {
                assert!(i == j || short > long || other >> (long - short) != *one, "{i} {j}");
            }
        }
    }

    #[test]
    fn what_is_no_jpeg_is_refused() {
        let mut recoder = Recoder::default();
        for bytes in [&b""[..], b"\xFF\xD8", b"\xFF\xD8\xFF\xC2\0\x02", b"\xFF\xD8\xFF\xDA\0\x02", b"GIF89a"]
        {
            assert_eq!(recoder.recode(bytes, &mut Vec::new()), None, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_of_ones_are_followed_by_zeros() {
        let mut out = Vec::new();
        for word in [0x0102_0304, 0xFF00_FE7F, 0x1234_56FF] {
            put(word, &mut out);
        }
        assert_eq!(out, [1, 2, 3, 4, 0xFF, 0, 0, 0xFE, 0x7F, 0x12, 0x34, 0x56, 0xFF, 0]);
    }
}
